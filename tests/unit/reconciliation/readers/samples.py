"""A small report of each gateway's table, made up after the gateway's documentation. All data is invented."""

from __future__ import annotations

# https://developer.paypal.com/docs/reports/sftp-reports/settlement-report/: marked lines, amounts in hundredths of
# any currency ("100,00 yen and $100.00 USD are both represented as 10000"), two blanks in a name.
PAYPAL_REPORT = (
    '"RH",2026/03/02 02:21:10 -0800,"A","MERCHANT1",009,\n'
    '"FH",01\n'
    '"SH",2026/03/01 00:00:00 -0800,2026/03/01 23:59:59 -0800,"MERCHANT1",""\n'
    '"CH","Transaction ID","Invoice ID","PayPal Reference ID","PayPal Reference ID Type","Transaction Event Code",'
    '"Transaction Initiation Date","Transaction Completion Date","Transaction  Debit or Credit",'
    '"Gross Transaction Amount","Gross Transaction Currency","Fee Debit or Credit","Fee Amount","Fee Currency",'
    '"Custom Field","Consumer ID","Payment Tracking ID","Store ID","Bank Reference ID"\n'
    '"SB","TX1","pay_1","AUTH1","TXN","T0006",2026/03/01 00:00:30 -0800,2026/03/01 00:10:30 -0800,"CR",10000,"EUR",'
    '"DR",175,"EUR","cust_1","PAYER","","",""\n'
    '"SB","TX2","","TX1","TXN","T1107",2026/03/01 08:00:00 -0800,2026/03/01 08:00:00 -0800,"DR",4000,"EUR","CR",70,'
    '"EUR","pay_1","PAYER","","",""\n'
    '"SB","TX3","pay_3","","","T0006",2026/03/01 09:00:00 -0800,2026/03/01 09:00:00 -0800,"CR",500000,"JPY","DR",18000,'
    '"JPY","","PAYER","","",""\n'
    '"SB","TX4","","","","T0400",2026/03/01 10:00:00 -0800,2026/03/01 10:00:00 -0800,"DR",5000,"EUR","",,"","","","",'
    '"","BANK77"\n'
    '"SF","EUR",10000,9000,70,175\n"SF","JPY",500000,0,0,18000\n"SC",4\n"RF","EUR",10000,9000,70,175\n"RC",4\n"FF",4\n'
)
# https://developer.paypal.com/api/nvp-soap/paypal-payments-standard/admin/download-history
PAYPAL_ACTIVITY = (
    '"Date","Time","TimeZone","Name","Type","Status","Currency","Gross","Fee","Net","From Email Address",'
    '"To Email Address","Transaction ID","Reference Txn ID","Invoice Number","Custom Number","Balance",'
    '"Balance Impact"\n'
    '"13/03/2026","10:00:00","CET","Jane","Express Checkout Payment","Completed","EUR","1.250,00","-43,40","1.206,60",'
    '"jane@example.com","shop@example.com","1AB","","pay_1","","1.206,60","Credit"\n'
    '"14/03/2026","09:00:00","CET","Jane","Payment Refund","Completed","EUR","-250,00","0,00","-250,00",'
    '"shop@example.com","jane@example.com","2CD","1AB","pay_1","","956,60","Debit"\n'
    '"15/03/2026","09:00:00","CET","Joe","General Authorization","Pending","EUR","5,00","0,00","5,00","","",'
    '"4GH","","",'
    '"","","Memo"\n'
    '"16/03/2026","09:00:00","CET","","General Withdrawal","Completed","EUR","-900,00","0,00","-900,00","","",'
    '"3EF","","",'
    '"","56,60","Debit"\n'
)
# https://developer.paypal.com/braintree/articles/br/reporting-reconciliation/disbursement-report
BRAINTREE_DISBURSEMENT = (
    "RH,Report name,Report status,Report generated,Hierarchy,Timezone\n"
    "RH,Disbursement Report,success,2026-03-03,Merchant,America/Sao_Paulo\n"
    "RS,Transfer ID(s),Bank account,Currency,Net disbursed amount\n"
    "RS,TR9,1234,BRL,37.75\n"
    "RD,Record ID,PayPal transaction ID,Record type,Record sub-type,Merchant account ID,Created at,Settlement date,"
    "Disbursement date,Transaction currency,Gross transaction amount,Settlement currency,Gross settlement amount,"
    "Gross settlement fees,Net disbursed amount,Exchange rate,Transfer ID,Dispute ID,Order ID,Original record ID,"
    "Payment instrument type,Payment instrument sub-type\n"
    "RD,sale1,,Sale,,shop,2026-03-01 10:00:00,2026-03-02,2026-03-03,USD,20.00,BRL,100.00,2.25,97.75,5.0,TR9,,pay_1,,"
    "Credit card,Visa\n"
    "RD,ref1,,Refund,Referenced,shop,2026-03-02 10:00:00,2026-03-02,2026-03-03,BRL,-40.00,BRL,-40.00,0.00,-40.00,1,TR9,"
    ",pay_1,sale1,Credit card,Visa\n"
    "RD,cb1,,Dispute,Chargeback,shop,2026-03-02 11:00:00,,2026-03-03,BRL,-20.00,BRL,-20.00,0.00,-20.00,1,TR9,"
    "dis1,pay_2,"
    "sale0,Credit card,Visa\n"
    "RF,Total files,File number,Total records\n"
    "RF,1,1,3\n"
)
# https://developer.paypal.com/braintree/docs/reference/response/transaction-level-fee-report-row
BRAINTREE_FEES = (
    "Merchant Account ID,Transaction ID,Original Transaction ID,Transaction Type,Presentment Currency,"
    "Original Sale Amount,Settlement Currency,Settlement Amount,Settlement Date,Disbursement Date,Payment Instrument,"
    "Card Brand,Card Type,First 6 of CC,Issuing Bank,Refunded Amount,Refund Type,Exchange Rate,Order ID,"
    "Acquirer Reference Number,Card Issuing Country,Discount,Discount Credit,Per Transaction Fee,"
    "Per Transaction Fee Credit,Multicurrency Fee Amount,Multicurrency Fee Credit,Total Fee Amount\n"
    'shop,s1,,sale,USD,,USD,24.18,2026-03-03,2026-03-06,credit_card,Visa,Debit,400000,"Bank, NA",0.00,,1.00,pay_1,0948,'
    "USA,0.0185,0,0.13,0.00,0.00,0.00,0.57\n"
    "shop,c1,s1,credit,USD,,USD,4.00,2026-03-04,2026-03-06,credit_card,Visa,Debit,400000,,0.00,,1.00,pay_1,0949,"
    "USA,0,0,0,"
    "0.00,0.00,0.00,0.00\n"
)
# https://developer.paypal.com/braintree/articles/control-panel/search
BRAINTREE_EXPORT = (
    "Transaction ID,Transaction Type,Transaction Status,Created Datetime,Created Timezone,Settlement Date,"
    "Disbursement Date,Merchant Account,Amount Authorized,Amount Submitted For Settlement,Service Fee,"
    "Currency ISO Code,"
    "Order ID,Card Type,Payment Instrument Type,Settlement Amount,Settlement Currency ISO Code,"
    "Settlement Currency Exchange Rate,Settlement Batch ID,Refunded Transaction ID\n"
    "t1,sale,settled,2026-03-01 10:00:00,CST6CDT,2026-03-02,2026-03-03,shop,10.00,10.00,,USD,pay_1,Visa,"
    "Credit Card,10.00,"
    "USD,,2026-03-02_shop,\n"
    "t2,sale,voided,2026-03-01 10:00:00,CST6CDT,,,shop,10.00,,,USD,pay_2,Visa,Credit Card,,,,,\n"
    "t3,credit,settled,2026-03-01 12:00:00,CST6CDT,2026-03-02,2026-03-03,shop,,4.00,,USD,pay_1,Visa,Credit Card,"
    "4.00,USD,,"
    "2026-03-02_shop,t1\n"
)
# https://docs.mollie.com/docs/settlement-report
MOLLIE = (
    "Date,Payment method,Currency,Amount,Status,ID,Description,Consumer name,Consumer bank account,Consumer BIC,"
    "Settlement currency,Settlement amount,Settlement reference,Amount refunded\n"
    "2026-03-01 10:12:00,ideal,EUR,100.00,paidout,tr_1,pay_1,Jane,NL01BANK0123456789,BANKNL2A,EUR,100.00,"
    "1234567.2603.01,\n"
    "2026-03-01 11:12:00,creditcard,USD,20.00,paidout,tr_2,pay_2,,,,EUR,18.50,1234567.2603.01,\n"
    "2026-03-02 09:00:00,refund,EUR,-20.00,refunded,re_1,ref_1,,,,EUR,-20.00,1234567.2603.01,20.00\n"
    "2026-03-02 10:00:00,chargeback,EUR,-15.00,,chb_1,,,,,EUR,-15.00,1234567.2603.01,\n"
    "2026-03-03 00:00:00,,EUR,-2.88,,,Withheld transaction fees MOL2026.0001,,,,EUR,-2.88,1234567.2603.01,\n"
)
# https://support.gocardless.com/hc/en-us/articles/17144251867548-Payout-breakdown-reports-Transactions
GOCARDLESS_TRANSACTIONS = (
    "customers.id,customers.given_name,customers.family_name,customers.company_name,customers.email,resources.type,"
    "resources.description,resources.created_at,resources.charge_date,resources.status,resources.reference,"
    "gross_amount,"
    "gocardless_fees,app_fees,net_amount,currency,payouts.id,payouts.arrival_date,creditors.id,payments.id,refunds.id,"
    "mandates.id,subscriptions.id,surcharge_fees\n"
    "CU1,Jane,Doe,,jane@example.com,payment,Order 1,2026-03-01T10:00:00.000Z,2026-03-04,paid_out,pay_1,100.00,"
    "-1.20,-0.50,"
    "98.30,GBP,PO1,2026-03-06,CR1,PM1,,MD1,,0.00\n"
    "CU1,Jane,Doe,,jane@example.com,refund,Order 0,2026-03-02T10:00:00.000Z,,paid,ref_0,-20.00,0.00,0.00,-20.00,"
    "GBP,PO1,"
    "2026-03-06,CR1,PM0,RF0,MD1,,0.00\n"
    "CU2,Joe,Doe,,joe@example.com,payment,Order 2,2026-02-01T10:00:00.000Z,2026-02-04,charged_back,pay_2,-50.00,"
    "0.60,0.00,"
    "-49.40,GBP,PO1,2026-03-06,CR1,PM2,,MD2,,0.00\n"
)
# https://support.gocardless.com/hc/en-us/articles/17144187437468-Payout-reports
GOCARDLESS_PAYOUTS = (
    "id,amount,currency,created_at,reference,status,arrival_date,transaction_fee_debit,transaction_fee_credit,"
    "app_fee_debit,app_fee_credit,total_payment_amount,links.creditor_bank_account,links.creditor\n"
    "PO1,28.90,GBP,2026-03-05T06:00:00.000Z,SHOP-KN3CMJ,paid,2026-03-06,1.20,0.60,0.50,0.00,100.00,BA1,CR1\n"
    "PO2,5.00,GBP,2026-03-06T06:00:00.000Z,SHOP-XX3CMJ,bounced,2026-03-07,0.00,0.00,0.00,0.00,5.00,BA1,CR1\n"
)
# https://docs.klarna.com/payments/after-payments/settlements/settlement-files/
KLARNA = (
    ""
    "total_sale_amount;total_fee_amount;total_tax_amount;total_return_amount;total_reversal_amount;total_holdback_amount;"
    "total_repay_amount;total_settlement_amount;payment_reference;settlement_currency;payout_date;merchant_id;"
    "merchant_settlement_type\n"
    "100.00;3.00;0.63;20.00;10.00;5.00;0.00;61.37;XISA93DJ;EUR;2026-03-05T07:45:00Z;K123456;NET\n"
    "\n"
    "type;capture_date;sale_date;order_id;short_order_id;capture_id;merchant_reference1;merchant_reference2;amount;"
    "posting_currency;refund_id;detailed_type;merchant_capture_reference;merchant_refund_reference\n"
    "SALE;2026-03-01T10:00:00Z;2026-03-01T09:00:00Z;ord-1;9875QW2;cap-1;pay_1;;100.00;EUR;;PURCHASE;;\n"
    "FEE;2026-03-01T10:00:00Z;2026-03-01T09:00:00Z;ord-1;9875QW2;cap-1;pay_1;;2.49;EUR;;PURCHASE_FEE_PERCENTAGE;;\n"
    "FEE;2026-03-01T10:00:00Z;2026-03-01T09:00:00Z;ord-1;9875QW2;cap-1;pay_1;;0.51;EUR;;PURCHASE_FEE_FIXED;;\n"
    "RETURN;2026-03-02T10:00:00Z;2026-03-01T09:00:00Z;ord-1;9875QW2;;pay_1;;20.00;EUR;rf-1;PURCHASE_RETURN;;ref_1\n"
    "REVERSAL;2026-03-03T10:00:00Z;2026-02-01T09:00:00Z;ord-0;9875QW0;;pay_0;;-10.00;EUR;;REVERSAL;;\n"
    "HOLDBACK;2026-03-03T10:00:00Z;;;;;;;5.00;EUR;;ROLLING_RESERVE;;\n"
)
# https://www.checkout.com/docs/funds-management/retrieve-financial-reports/settlement-reports/financial-actions-by-payout-id-report
CHECKOUT_ACTIONS = (
    "Client Entity ID,Currency Account ID,Payment Method,Card Type,Issuer Country,Action Type,Action ID,Payment ID,"
    "Reference,Requested On,Processed On,Processing Currency,FX Rate Applied,Holding Currency,Payout ID,Breakdown Type,"
    "Processing Currency Amount,Holding Currency Amount,Timezone\n"
    "ent_1,ca_1,VISA,Credit,GB,Capture,act_1,pay_a,pay_1,2026-03-01T10:00:00.000,2026-03-01T10:00:01.000,USD,0.8,GBP,"
    "00000000CFJU,Capture,100.00,80.00,Europe/London\n"
    "ent_1,ca_1,VISA,Credit,GB,Capture,act_1,pay_a,pay_1,2026-03-01T10:00:00.000,2026-03-01T10:00:01.000,USD,0.8,GBP,"
    "00000000CFJU,Premium Variable Fee,-1.5062,-1.20496,Europe/London\n"
    "ent_1,ca_1,VISA,Credit,GB,Capture,act_1,pay_a,pay_1,2026-03-01T10:00:00.000,2026-03-01T10:00:01.000,USD,0.8,GBP,"
    "00000000CFJU,Scheme Fixed Fee,-0.01805,-0.01444,Europe/London\n"
    "ent_1,ca_1,VISA,Credit,GB,Chargeback,act_2,pay_b,pay_2,2026-03-02T10:00:00.000,2026-03-02T10:00:01.000,GBP,1,GBP,"
    "00000000CFJU,Chargeback (ADJM),-10.00,-10.00,Europe/London\n"
)
# https://www.checkout.com/docs/funds-management/retrieve-financial-reports/settlement-reports/settlement-breakdown-report
CHECKOUT_BREAKDOWN = (
    "Client Entity ID,Client Entity Name,Processing Channel ID,Processing Channel Name,Type,Payment ID,Reference,"
    "Processed On,Available On,Holding Currency,Payout ID,Gross In Holding Currency,Deduction In Holding Currency,"
    "Net In Holding Currency,Processing Fee In Holding Currency,Scheme Fee In Holding Currency,"
    "Interchange In Holding Currency,Tax In Holding Currency,Reserve In Holding Currency,Processing Currency,"
    "Gross In Processing Currency,FX Rate Applied,Payment Method,Processed On UTC,Action ID\n"
    "ent_1,Shop,pc_1,Web,Charge,pay_a,pay_1,2026-03-01T11:00:00.000,2026-03-02T00:00:00.000,USD,00000003K599,50,"
    "-1.5,48.5,"
    "-0.9,-0.6,0,0,0,USD,50,1,VISA,2026-03-01T10:00:00.000,act_1\n"
    "ent_1,Shop,pc_1,Web,Charge,pay_c,pay_3,2026-03-01T13:00:00.000,2026-03-02T00:00:00.000,USD,00000003K599,0,"
    "-0.25,-0.25,"
    "-0.1,-0.05,-0.1,0,0,USD,0,1,VISA,2026-03-01T12:00:00.000,act_3\n"
    "ent_1,Shop,pc_1,Web,Refund,pay_a,pay_1,2026-03-02T11:00:00.000,2026-03-02T00:00:00.000,USD,00000003K599,-5,"
    "0,-5,0,0,0,"
    "0,0,USD,-5,1,VISA,2026-03-02T10:00:00.000,act_4\n"
)
# https://www.checkout.com/docs/funds-management/retrieve-financial-reports/settlement-reports/payouts-report
CHECKOUT_PAYOUTS = (
    "Client Entity ID,Client Entity Name,Currency Account ID,Currency Account Name,Holding Currency,Payout ID,"
    "Payout Date,"
    "Payout Amount,Merchant Payout Fees,Payments,Refunds,Chargebacks\n"
    "ent_1,Shop,ca_1,Shop USD,USD,00000003K599,2026-03-02T02:00:00.000,43.25,0,50,-5,0\n"
)
