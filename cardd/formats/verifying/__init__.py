"""What signed documents tell: each format is read here, and judged without a look at whom to trust."""
