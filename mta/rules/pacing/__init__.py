"""How much a receiver may be sent: sites, their limits, and what their answers make of these."""
