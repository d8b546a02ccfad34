# ruff: noqa: A005 (tests mirror the rooms, and a package inside `tests` hides no other module)
