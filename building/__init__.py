"""Makes what is released: `packaging/build` runs it. Not called packaging, as a library of that name is among its tools."""
