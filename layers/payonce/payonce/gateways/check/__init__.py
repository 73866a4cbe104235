"""The gateway author's kit: the contract suite that every adapter passes, run without a test framework.

``python -m payonce.gateways.check <module>``, see docs/how-to-add-a-gateway.md. Nothing of payonce imports this
package, so that no function pays for it.
"""
