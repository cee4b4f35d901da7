"""The outside world that `make demo` and the service tests start: a CRM database, a usage API and folders of files.

Nothing enters but the public data sets of `demo.telco`, `demo.houses`, `demo.loans` and `demo.reviews`. What leaves are
real sources, served by real servers on 127.0.0.1, and the ground truth of every defect planted in them. Lakeloop is
never imported here: it is the guest.
"""
