"""Fan-out back ends behind one interface."""
