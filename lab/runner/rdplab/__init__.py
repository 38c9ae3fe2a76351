"""A lab of real RDP clients and servers; see run.sh."""
