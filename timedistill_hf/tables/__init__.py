"""Tables of numbers and times: files, columns, clocks and grids."""
