"""The outage drill: a gateway is down for minutes, payments are left in doubt, and recovery drains them afterwards.

Production code (engine, protocol, feeder, askers) in virtual time, on a model of what AWS documents of Lambda and SQS.
"""
