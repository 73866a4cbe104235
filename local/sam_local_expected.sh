# shellcheck shell=bash
# What `make sam-local` expects: what each event must be answered with. What the events name is not in the local cloud, hence the 404s.
expected() {
  case $1 in
    authorize/*) echo '"errorMessage": *"Unauthorized"' ;; # the authorizer refuses by raising exactly this
    recover_payments/* | schedule_deliveries/*) echo '"failed": *0[,}]' ;;
    reconcile/scheduled) echo '"digest": *"' ;;
    correct_break/*) echo '"errorType": *"NotFound"' ;; # the state machine takes it as an error
    # No file of these names is in the local cloud's bucket.
    reconcile/*) echo '"refused": *\[\{' ;;
    audit_idempotency/* | ask_gateways/unknown_claims | dispatch_deliveries/unknown_delivery | apply_gateway_events/unknown_event | relay_events/a_mark_taken_off) echo '"batchItemFailures": *\[\]' ;;
    observe_claims/* | keep_overview/*) echo '"state": *\{\}' ;;
    # Off after `make up`, where a run ends at once; on after `make demo`, where it takes its minute.
    predict_routes/*) echo '^\{\}|"decisions": *[0-9]+' ;;
    # Neither the merchant of the inbox's messages nor the events of the stream are in the local cloud: they come again.
    accept_events/* | apply_gateway_events/* | ask_gateways/* | dispatch_deliveries/* | relay_events/*) echo '"batchItemFailures": *\[\{' ;;
    create_webhook_endpoint/all_events | create_webhook_endpoint/ed25519) echo '"statusCode": *201' ;;
    create_webhook_endpoint/* | */nothing | */too_long | */backwards | get_idempotency_key/bad_operation) echo '"statusCode": *400' ;;
    */no_result | */unknown_status | comment_on_break/empty | match_breaks/no_reason) echo '"statusCode": *400' ;;
    list_webhook_endpoints/* | list_events/first_page | list_breaks/first_page | list_breaks/one_class) echo '"statusCode": *200' ;;
    list_webhook_deliveries/*) echo '"statusCode": *404' ;;
    create_payment/captured | create_payment/authorized | create_setup/succeeded) echo '"statusCode": *201' ;;
    create_payment/declined | create_setup/declined) echo '"statusCode": *402' ;;
    # The containers reach the local cloud and the bank, but not the proxy's upstream: certainly nothing is sent.
    idempotency_proxy/upstream_down | idempotency_proxy/no_route) echo '"statusCode": *503' ;;
    pages/sign_in) echo '"statusCode": *200' ;;
    */no_session) echo '"statusCode": *303' ;;
    */other_site) echo '"statusCode": *403' ;;
    */no_scope) echo '"statusCode": *403' ;;
    create_payment/* | */no_key | */bad_cursor | */no_customer | list_setups/nobody) echo '"statusCode": *400' ;;
    # create_payment/captured comes before them, and uses their key.
    get_idempotency_key/any_operation | get_idempotency_key/one_operation) echo '"statusCode": *200' ;;
    list_payments/* | list_setups/* | list_payment_methods/* | list_disputes/* | get_balances/*) echo '"statusCode": *200' ;;
    *) echo '"statusCode": *404' ;;
  esac
}
