"""The one mapping between the values of BudgetMem and the messages of `memory.proto`.

The client and the server share it: `encode_x` makes a message, `decode_x` reads one. Decoders of
requests validate, since they stand at the server's edge; decoders of replies raise
ServerError for what this version cannot read.
"""
