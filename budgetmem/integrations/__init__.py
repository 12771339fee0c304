"""BudgetMem as a part of other frameworks, an optional extra each: `langchain`, `langgraph`,
`llama-index`. See docs/integrations.md.
"""
