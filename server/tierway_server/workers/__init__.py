"""One server of several processes: a supervisor, front ends that share a port and a state, and one process for the engines."""
