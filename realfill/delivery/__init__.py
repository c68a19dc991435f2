"""Delivery: finished photos copied to where they are used, with a contact sheet, a table and credentials."""
