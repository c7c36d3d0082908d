#!/bin/bash
# The same small practice software with curl and jq: lps.sh [consult | add TEXT | read DOCUMENT_ID]
# CARDD is cardd's address, CARDD_SECRET the client secret of an earlier pairing; without one, it pairs first.
set -euo pipefail
CARDD=${CARDD:-http://127.0.0.1:17463}
HERE=$(dirname "$0")
INS=185059999900181 OID=1.2.250.1.213.1.4.10

# The token and what is sent are handed over in pipes: other users of the machine can read a program's arguments.
call() { # METHOD PATH BEARER [TYPE BODY]: the answer; what is refused, in words where they are cardd's
    local answer
    if answer=$(curl -sS --fail-with-body -X "$1" -H @<(printf 'Authorization: Bearer %s' "$3") "$CARDD$2" \
                     ${4:+-H "Content-Type: $4" --data-binary @<(printf %s "$5")} 2> /dev/null); then
        printf %s "$answer"
    else
        answer=${answer:-no answer of $CARDD}
        jq -r '"\(.title). \(.detail) \(.remedy)"' <<< "$answer" >&2 2> /dev/null || echo "$answer" >&2
        return 1
    fi
}

cardd() { call "$1" "$2" "$3" ${4:+application/json "$4"}; }

# send MESSAGE NAME VALUE…: to the DMP, with a fresh VIHF, over TLS with the card
send() {
    local message vihf
    vihf=$(cardd POST "$SESSION/assertions" "$TOKEN" '{"type": "vihf", "patient": {"ins": "'$INS'", "oid": "'$OID'"},
        "lps": {"name": "LPS SIMULATION", "version": "1.0", "homologation": "SIM-0001"}}' | jq -r .assertion | base64 -d)
    message=$(cat "$HERE/messages/$1")
    shift
    while [ $# -gt 0 ]; do message=${message//@$1@/"$2"}; shift 2; done
    message=${message//@INS@/"$INS^^^&amp;$OID&amp;ISO^NH"}
    message=${message//@MESSAGE@/"$(cat /proc/sys/kernel/random/uuid)"}
    call POST "$SESSION/upstreams/dmp/simulation/repository" "$TOKEN" application/soap+xml "${message//@VIHF@/"$vihf"}"
}

if [ -z "${CARDD_SECRET:-}" ]; then
    CARDD_SECRET=$(cardd POST /v1/clients "" '{"name": "LPS exemple", "vendor": "SIMULATION", "software_id": "exemple-lps"}' \
                   | jq -r .client_secret)
fi
OPENED=$(cardd POST /v1/sessions "$CARDD_SECRET" '{"method": "cpx"}')
SESSION=/v1/sessions/$(jq -r .id <<< "$OPENED") TOKEN=$(jq -r .token <<< "$OPENED")
trap 'cardd DELETE "$SESSION" "$TOKEN"' EXIT
cardd POST "$SESSION/situation" "$TOKEN" '{"id": "1"}' > /dev/null

case ${1:-consult} in
add)
    SET=2.25.$(date +%s%N)1 DOCUMENT_ID=2.25.$(date +%s%N)2 DOCUMENT=$(printf %s "$2" | base64 -w0)
    SIGNATURE=$(cardd POST "$SESSION/signatures" "$TOKEN" '{"document_name": "Lot de soumission", "format": "submission_set",
        "submission_set": {"unique_id": "'$SET'", "documents": [{"unique_id": "'$DOCUMENT_ID'", "document": "'$DOCUMENT'"}]}}' \
        | jq -r .document)
    send add.xml SET "$SET" DOCUMENT_ID "$DOCUMENT_ID" DOCUMENT "$DOCUMENT" SIGNATURE "$SIGNATURE" > /dev/null
    echo "added $DOCUMENT_ID" ;;
read)
    send read.xml DOCUMENT_ID "$2" | grep -o 'Document>[^<]*' | head -1 | cut -d'>' -f2 | base64 -d
    echo ;;
consult)
    send consult.xml | tr '<' '\n' | awk '/ExtrinsicObject /{new = 1} new && /LocalizedString/{print; new = 0}' \
        | sed 's/.*value="\([^"]*\)".*/\1/' ;;
esac
