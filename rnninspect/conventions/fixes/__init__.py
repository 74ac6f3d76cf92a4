"""The code that mends a mistake, as it is written for one framework or fitted to a layer."""
