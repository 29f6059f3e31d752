"""How a MySQL server is reached, and what its errors mean."""
