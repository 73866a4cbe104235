"""Takes the two pictures of the console that the documentation shows: ``python -m tools.console_pictures``.

They are of a stack of its own, with a shop that has paid, doubted, refunded and been delivered to.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from local.cloud import LocalCloud
from local.degradation import ROUTING
from local.stack import REPOSITORY, Ports
from tests.e2e.conftest import free_port
from tests.e2e.console.world import Shop
from tests.support.chromium import launched, opened, sign_in

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = REPOSITORY / "docs" / "images"
MOST_BYTES = 200_000
HEIGHT = 1_000
PAYMENTS = 40


def main() -> int:
    """Deploy, fill, and take both pictures. Returns 1 if one is too large for a page."""
    with TemporaryDirectory(prefix="payonce-pictures-") as folder:
        cloud = LocalCloud(Path(folder), Ports(free_port(), free_port(), free_port()))
        try:
            cloud.start()
            stack = cloud.deploy(routing_mode="shadow", routing=ROUTING)
            shop = Shop.opened(stack, "Harbour Books")
            payment_id = sold(shop)
            key = stack.add_operator("ada", "approver")
            with launched() as browser, opened(browser, zone="Europe/Berlin") as page:
                sign_in(page, stack.console_url, key)
                of = f"?merchant={shop.merchant_id}"
                sizes = [
                    taken(page, f"{stack.console_url}{of}", "console-overview"),
                    taken(page, f"{stack.console_url}/payments/{payment_id}{of}", "console-payment"),
                ]
        finally:
            cloud.stop()
    return 1 if max(sizes) > MOST_BYTES else 0


def sold(shop: Shop) -> str:
    """Let the shop do a morning's trade; return the payment whose story is the longest."""
    shop.endpoint(description="orders")
    for number in range(PAYMENTS):
        shop.pay(900 + 37 * number, reference=f"order-{4700 + number}")
    shop.pay(700, payment_method="pm_sandbox_declined", reference="order-4790")
    shop.doubtful(reference="order-4791")
    payment = shop.pay(12_500, reference="order-4792", description="Two atlases", customer="cus_ada")
    shop.ask("POST", f"/payments/{payment['id']}/refunds", {"amount_minor": 2_500})
    time.sleep(75)  # what the overview shows is kept by the minute
    return str(payment["id"])


def taken(page: Page, address: str, name: str) -> int:
    """Take the picture of a page; return its bytes."""
    page.set_viewport_size({"width": 1440, "height": HEIGHT})
    page.goto(address)
    page.wait_for_load_state("networkidle")
    file = IMAGES / f"{name}.png"
    page.screenshot(path=file, animations="disabled")
    size = file.stat().st_size
    print(f"{file.relative_to(REPOSITORY)}: {size / 1000:.0f} kB")
    return size


if __name__ == "__main__":
    sys.exit(main())
