import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { Verifier, WebhookRejected } from "../src/index.js";

const SECRET = Buffer.alloc(32, 7);
const KEY = `whsec_${SECRET.toString("base64")}`;
const NOW = 1_795_526_278;
const BODY = Buffer.from(JSON.stringify({ id: "evt_1", type: "payment.captured", data: { currency: "EUR" } }));
const settings = { now: () => NOW * 1000 };

function headers(body: Uint8Array, at = NOW, id = "evt_1"): Record<string, string> {
  const mac = createHmac("sha256", SECRET).update(`${id}.${at}.`).update(body).digest("base64");
  return { "Webhook-Id": id, "Webhook-Timestamp": String(at), "Webhook-Signature": `v1a,AAAA v1,${mac}` };
}

async function reason(verifier: Verifier, given: Headers | Record<string, string>, body: Uint8Array | string): Promise<string> {
  const error: unknown = await verifier.verify(given, body).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof WebhookRejected, String(error));
  return `${error.status} ${error.reason}`;
}

test("the published example of Standard Webhooks verifies", async () => {
  // https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
  const verifier = new Verifier(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], { now: () => 1_614_265_330_000 });
  const webhook = await verifier.verify(
    {
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    },
    '{"test": 2432232314}',
  );
  assert.equal(webhook.id, "msg_p5jXN8AQM9LWM0D4loKWxJek");
});

test("what payonce's own signer signs verifies, with a secret and with a key pair", { skip: !process.env["PAYONCE_SIGNED"] }, async () => {
  for (const { key, headers: given, body, at } of JSON.parse(process.env["PAYONCE_SIGNED"] ?? "[]")) {
    const webhook = await new Verifier([key], { now: () => at * 1000 }).verify(given, body);
    assert.equal(webhook.event.type, "payment.captured");
  }
});

test("a shared secret, in Headers or a record, and one of two keys", async () => {
  const other = `whsec_${Buffer.alloc(32, 8).toString("base64")}`;
  for (const given of [headers(BODY), new Headers(headers(BODY))]) {
    const webhook = await new Verifier([other, KEY], settings).verify(given, BODY);
    assert.deepEqual([webhook.id, webhook.sentAt.getTime(), webhook.event.type], ["evt_1", NOW * 1000, "payment.captured"]);
  }
});

test("a key pair", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const verifier = new Verifier([`whpk_${raw.toString("base64")}`], settings);
  const signature = sign(null, Buffer.concat([Buffer.from(`evt_1.${NOW}.`), BODY]), privateKey).toString("base64");
  const given = { ...headers(BODY), "Webhook-Signature": `v1a,${signature}` };
  assert.equal((await verifier.verify(given, BODY)).id, "evt_1");
  assert.equal(await reason(verifier, given, Buffer.concat([BODY, Buffer.from(" ")])), "401 signature-mismatch");
  assert.equal(await reason(verifier, headers(BODY), BODY), "401 signature-mismatch");
});

test("whatever comes, only WebhookRejected is thrown", async () => {
  const verifier = new Verifier([KEY], settings);
  const good = headers(BODY);
  assert.equal(await reason(verifier, good, BODY.toString().replace("EUR", "USD")), "401 signature-mismatch");
  assert.equal(await reason(verifier, { ...good, "Webhook-Id": "evt_2" }, BODY), "401 signature-mismatch");
  assert.equal(await reason(verifier, { ...good, "Webhook-Signature": "v1,%%% v1, ,v1 v1" }, BODY), "401 signature-mismatch");
  assert.equal(await reason(verifier, { ...good, "Webhook-Signature": "" }, BODY), "400 header-missing");
  assert.equal(await reason(verifier, {}, BODY), "400 header-missing");
  assert.equal(await reason(verifier, { ...good, "Webhook-Timestamp": "soon" }, BODY), "400 header-malformed");
  assert.equal(await reason(verifier, { ...good, "Webhook-Id": "a.b" }, BODY), "400 header-malformed");
  assert.equal(await reason(verifier, headers(BODY, NOW - 301), BODY), "400 timestamp-outside-tolerance");
  assert.equal(await reason(verifier, headers(BODY, NOW + 301), BODY), "400 timestamp-outside-tolerance");
  const large = Buffer.alloc(256 * 1024 + 1, " ");
  assert.equal(await reason(verifier, headers(large), large), "413 body-too-large");
  for (const text of ["[]", "null", "{", "\u{feff}{}"]) {
    const body = Buffer.from(text);
    assert.equal(await reason(verifier, headers(body), body), "400 body-malformed");
  }
  const broken = Buffer.from([0x7b, 0xff, 0x7d]);
  assert.equal(await reason(verifier, headers(broken), broken), "400 body-malformed");
});

test("a key that is none is told at once", () => {
  for (const bad of ["", "whsec_", "whsec_AAAA", "whpk_AAAA", "po_key", "whsk_AAAA"]) {
    assert.throws(() => new Verifier([bad]), TypeError);
  }
  assert.throws(() => new Verifier([]), TypeError);
});
