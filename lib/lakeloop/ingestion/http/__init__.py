"""HTTP as sources and look-ups need it: signed, paced, tried again, bounded, and kept to where the connection leads.

Enters: a connection with the value of its secret, and an address. Leaves: a `Reply`, or a `Failure` that says why there
is none without a secret in it. Imports no Spark, so that executors can ask too.
"""
