"""How the official library is pointed at the fake, and what it does with answers that are no plain success.

https://github.com/Adyen/adyen-python-api-library at 16.0.0
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import Adyen
import pytest

from local.adyen.__main__ import main
from local.adyen.running import MERCHANT_ACCOUNT
from tests.contract.adyen.conftest import Shop, library

if TYPE_CHECKING:
    from pathlib import Path

    from local.adyen.running import AdyenHandle


@pytest.mark.parametrize("transport", ["requests", "urllib"])
def test_the_library_reaches_the_fake_by_base_url_with_both_of_its_transports(
    handle: AdyenHandle, transport: str
) -> None:
    """Fails when the library's services take their address from elsewhere, or a header is not what the fake reads."""
    shop = Shop(handle, library(handle.api_url, transport=transport))
    result = shop.client.checkout.payments_api.payments(shop.body("order-1"), idempotency_key="key-1")
    assert (result.status_code, result.message["resultCode"]) == (200, "Authorised")
    assert result.psp == result.message["pspReference"]
    captured = shop.client.checkout.modifications_api.refund_captured_payment(
        {"merchantAccount": MERCHANT_ACCOUNT, "amount": {"value": 400, "currency": "EUR"}}, result.psp
    )
    assert (captured.status_code, captured.message["status"]) == (201, "received")
    assert [row["kind"] for row in handle.books()] == ["payment", "refund"]


@pytest.mark.parametrize("version", [71, 72])
def test_both_versions_of_the_api_are_spoken(handle: AdyenHandle, version: int) -> None:
    """Fails when an adapter that pins another version than the library's own finds nothing."""
    shop = Shop(handle, library(f"{handle.url}/v{version}"))
    assert shop.pay("order-1")["resultCode"] == "Authorised"
    live = Shop(handle, library(f"{handle.url}/checkout/v{version}"))  # the path of the live addresses
    assert live.pay("order-2")["resultCode"] == "Authorised"


def test_an_invalid_key_and_another_companys_account_are_told_apart(handle: AdyenHandle) -> None:
    """Fails when 401 and 403 are not the library's own exceptions with Adyen's codes."""
    unknown = Shop(handle, library(handle.api_url, api_key="nonsense"))
    with pytest.raises(Adyen.AdyenAPIAuthenticationError) as refused:
        unknown.pay("order-1")
    assert (refused.value.status_code, refused.value.error_code) == (401, "000")
    stranger = Shop(handle, library(handle.api_url, api_key="fake_key_of_Other"))
    with pytest.raises(Adyen.AdyenAPIInvalidPermission) as forbidden:
        stranger.pay("order-1")
    assert (forbidden.value.status_code, forbidden.value.error_code) == (403, "901")
    assert handle.books() == []


def test_the_library_takes_half_an_answer_for_an_empty_success(shop: Shop) -> None:
    """A trap: JSON that ends early raises nothing; the message is empty although the payment was executed.

    Fails when the library starts to raise, so that an adapter need not look itself.
    """
    with shop.handle.misbehaving("garbage_body", times=1):
        result = shop.client.checkout.payments_api.payments(shop.body("order-1"), idempotency_key="key-1")
    assert (result.status_code, result.message) == (200, {})
    [charge] = shop.handle.charges(reference="order-1")
    assert result.psp == charge["psp_reference"]  # the header says what the body does not
    assert shop.pay("order-1", key="key-1")["pspReference"] == charge["psp_reference"]


def test_the_library_hides_the_headers_of_a_success(shop: Shop) -> None:
    """A trap: the answer's idempotency-key can't be read. Fails when the library starts to give the headers."""
    result = shop.client.checkout.payments_api.payments(shop.body("order-1"), idempotency_key="key-1")
    assert not any("key-1" in str(value) for value in vars(result).values())


def test_the_command_says_that_its_port_is_taken(
    handle: AdyenHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fails when a second fake ends in a traceback."""
    port = handle.url.rpartition(":")[2]
    monkeypatch.setattr("sys.argv", ["adyen", "--port", port, "--books", str(tmp_path / "other.sqlite")])
    assert main() == 2
    assert f"port {port} is not free" in capsys.readouterr().err


def test_nothing_can_be_looked_up_but_stored_methods(shop: Shop) -> None:
    """Adyen has no API for a payment's status, by PSP reference or by merchant reference.

    https://help.adyen.com/knowledge/ecommerce-integrations/integrations-basics/is-there-an-api-which-can-allow-me-to-show-the-status-of-the-transaction
    """
    psp_reference = shop.pay("order-1")["pspReference"]
    api = shop.client.checkout.payments_api
    for path in (f"/payments/{psp_reference}", "/payments?reference=order-1"):
        with pytest.raises(Adyen.AdyenAPICommunicationError) as missing:
            shop.client.client.call_adyen_api(None, "checkout", "GET", api.baseUrl + path)
        assert missing.value.status_code == 404
