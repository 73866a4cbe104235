"""What the console's overview shows: counts per minute, kept by what follows payments, and read without computing."""
