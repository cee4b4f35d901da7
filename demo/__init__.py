"""The outside world that `make demo` and the service tests start: a CRM database, a usage API and a drop folder.

Nothing enters but the public churn data set of `demo.telco`. What leaves are real sources, served by real servers on
127.0.0.1, and the ground truth of every defect planted in them. Lakeloop is never imported here: it is the guest.
"""
