"""Random calls of many tenants, side by side: none may see, fill or delete what is another's."""
