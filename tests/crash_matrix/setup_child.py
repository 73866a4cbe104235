"""The process that is killed while it sets a payment method up, or confirms, cancels, charges or revokes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import CaptureMethod, Payer, PaymentMethodType
from payonce.domain.money import Money
from payonce.payments.create import CreatePayment, plan_payment
from payonce.payments.operations import NewPayment
from payonce.payments.setup_plans import NewSetup
from payonce.payments.setups.create_setup import CreateSetup, plan_setup
from payonce.payments.setups.load import load_method
from payonce.payments.setups.revoke import RevokeMethod, plan_revocation
from payonce.payments.setups.steps import plan_setup_step, setup_step_work
from tests.crash_matrix.child import MERCHANT, answered, application, settle
from tests.support.recovery import recover

if TYPE_CHECKING:
    from payonce.wiring.application import Application


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Do the task and return what a client would see."""
    app = application(task)
    match task["do"]:
        case "recover":
            return {"failed": recover(app, run_ms=300_000).failed}
        case "settle":
            return {"asked": settle(app)}
    return answered(app, task, task["do"], _work(app, task))


def _work(app: Application, task: dict[str, Any]) -> Any:
    services = app.services
    match task["do"]:
        case "setup":
            new = NewSetup(
                customer=task["customer"],
                payment_method=task["token"],
                payment_method_type=PaymentMethodType.CARD,
                currency="EUR",
                return_url=task["return_url"],
            )
            plan = plan_setup(new, merchant_id=MERCHANT, route=lambda _id: "bank", services=services)
            return CreateSetup(plan, app.gateway, services)
        case "confirm" | "cancel" as do:
            step = plan_setup_step(
                merchant_id=MERCHANT,
                setup_id=task["setup_id"],
                services=services,
                result=task.get("result", ""),
                cancels=do == "cancel",
            )
            return setup_step_work(step, app.gateway, services)
        case "revoke":
            revocation = plan_revocation(merchant_id=MERCHANT, method_id=task["method_id"], services=services)
            return RevokeMethod(revocation, app.gateway, services)
    method = load_method(app.database, MERCHANT, task["method_id"])
    payment = NewPayment(
        money=Money(1000, "EUR"),
        payment_method=method.method_id,
        token=method.token,
        capture_method=CaptureMethod.AUTOMATIC,
        payer=Payer.ABSENT,
        customer=method.customer,
    )
    charge = plan_payment(payment, merchant_id=MERCHANT, route=lambda _id: method.gateway, services=services)
    return CreatePayment(charge, app.gateway, services)
