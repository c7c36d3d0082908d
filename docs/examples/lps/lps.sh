#!/bin/bash
# The same small practice software with curl and jq: lps.sh [consult | add TEXT | read DOCUMENT_ID]
# CARDD is the path of cardd's socket. The first run pairs and keeps the client secret where only its user can read it.
set -euo pipefail
CARDD=${CARDD:-/run/cardd/cardd.sock}
KEPT=${XDG_CONFIG_HOME:-$HOME/.config}/exemple-lps/cardd-secret
HERE=$(dirname "$0")
INS=185059999900181 OID=1.2.250.1.213.1.4.10

# The token and what is sent are handed over in pipes: other users of the machine can read a program's arguments.
call() { # METHOD PATH BEARER [TYPE BODY]: the answer; what is refused, in words where they are cardd's; 4: not paired
    local answer
    if answer=$(curl -sS --fail-with-body --unix-socket "$CARDD" -X "$1" "http://localhost$2" \
                     ${PREFER:+-H "Prefer: $PREFER"} ${3:+-H @<(printf 'Authorization: Bearer %s' "$3")} \
                     ${4:+-H "Content-Type: $4" --data-binary @<(printf %s "$5")} 2> /dev/null); then
        printf %s "$answer"
    elif [ "$(jq -r .code <<< "$answer" 2> /dev/null)" = client.unknown ]; then
        return 4
    else
        answer=${answer:-no answer of $CARDD}
        jq -r '"\(.title). \(.detail) \(.remedy)"' <<< "$answer" >&2 2> /dev/null || echo "$answer" >&2
        return 1
    fi
}

cardd() { call "$1" "$2" "$3" ${4:+application/json "$4"}; }

# filled MESSAGE NAME VALUE…: the message with its places filled
filled() {
    local message
    message=$(cat "$HERE/messages/$1")
    shift
    while [ $# -gt 0 ]; do message=${message//@$1@/"$2"}; shift 2; done
    printf %s "$message"
}

# send MESSAGE NAME VALUE…: to the DMP, with a fresh VIHF, over TLS with the card
send() {
    local message vihf answer
    vihf=$(cardd POST "$SESSION/assertions" "$TOKEN" '{"type": "vihf", "patient": {"ins": "'$INS'", "oid": "'$OID'"},
        "lps": {"name": "LPS SIMULATION", "version": "1.0", "homologation": "SIM-0001"}}' | jq -r .assertion | base64 -d)
    message=$(filled "$@")
    message=${message//@INS@/"$INS^^^&amp;$OID&amp;ISO^NH"}
    message=${message//@MESSAGE@/"$(cat /proc/sys/kernel/random/uuid)"}
    answer=$(call POST "$SESSION/upstreams/dmp/simulation/repository" "$TOKEN" application/soap+xml "${message//@VIHF@/"$vihf"}")
    if [[ $answer == *RegistryError\ * ]]; then  # the registry refused, in an answer like any other
        grep -o 'errorCode="[^"]*" codeContext="[^"]*"' <<< "$answer" >&2
        return 1
    fi
    printf %s "$answer"
}

sha1() { printf %s "$1" | base64 -d | sha1sum | cut -d' ' -f1; }
size() { printf %s "$1" | base64 -d | wc -c; }

# pair: once the user has agreed, the client secret is kept; whoever has it is this program
pair() {
    local told
    told=$(PREFER=respond-async cardd POST /v1/clients "" \
               '{"name": "LPS exemple", "vendor": "SIMULATION", "software_id": "exemple-lps"}')
    echo "Accept this program if the dialog shows $(jq -r .code <<< "$told")" >&2
    while [ "$(jq 'has("client_secret")' <<< "$told")" = false ]; do
        sleep 0.5
        told=$(cardd GET "/v1/clients/pairings/$(jq -r .id <<< "$told")" "")
    done
    mkdir -p "${KEPT%/*}"
    rm -f "$KEPT"
    (umask 077; jq -j .client_secret <<< "$told" > "$KEPT")
}

log_in() { cardd POST /v1/sessions "$(cat "$KEPT")" '{"method": "cpx"}'; }

if [ -e "$KEPT" ] && { [ "$(stat -c %a "$KEPT")" != 600 ] || [ ! -O "$KEPT" ]; }; then
    echo "$KEPT can be read by others: unpair this program (cardctl clients), and remove the file" >&2
    exit 1
fi
[ -s "$KEPT" ] || pair
if OPENED=$(log_in); then :; elif [ $? = 4 ]; then pair; OPENED=$(log_in); else exit 1; fi  # 4: the user has unpaired it
SESSION=/v1/sessions/$(jq -r .id <<< "$OPENED") TOKEN=$(jq -r .token <<< "$OPENED")
trap 'cardd DELETE "$SESSION" "$TOKEN"' EXIT
SETTLED=$(cardd POST "$SESSION/situation" "$TOKEN" '{"id": "1"}')
author() { jq -r "(.identity + (.situation as \$picked | .situations[] | select(.id == \$picked))) | $1 | @html" <<< "$SETTLED"; }

case ${1:-consult} in
add)
    SET=2.25.$(date +%s%N)1 DOCUMENT_ID=2.25.$(date +%s%N)2
    AUTHOR=(DOCUMENT_ID "$DOCUMENT_ID" NOW "$(date -u +%Y%m%d%H%M%S)" PERSON_ID "$(author .national_id)"
            FAMILY "$(author .family_name)" GIVEN "$(author .given_name)"
            STRUCTURE "$(author .structure)" STRUCTURE_NAME "$(author '.structure_name // "CABINET"')")
    DOCUMENT=$(filled document.xml TEXT "$(printf %s "$2" | base64 -w0)" "${AUTHOR[@]}" | base64 -w0)
    SIGNATURE=$(cardd POST "$SESSION/signatures" "$TOKEN" '{"document_name": "Lot de soumission", "format": "submission_set",
        "submission_set": {"unique_id": "'$SET'", "documents": [{"unique_id": "'$DOCUMENT_ID'", "document": "'$DOCUMENT'",
        "is_xml": true}]}}' \
        | jq -r .document)
    send add.xml SET "$SET" DOCUMENT "$DOCUMENT" HASH "$(sha1 "$DOCUMENT")" SIZE "$(size "$DOCUMENT")" "${AUTHOR[@]}" \
        SIGNATURE "$SIGNATURE" SIGNATURE_HASH "$(sha1 "$SIGNATURE")" SIGNATURE_SIZE "$(size "$SIGNATURE")" > /dev/null
    echo "added $DOCUMENT_ID" ;;
read)
    send read.xml DOCUMENT_ID "$2" | grep -o 'Document>[^<]*' | head -1 | cut -d'>' -f2 | base64 -d \
        | grep -o '<text [^<]*' | cut -d'>' -f2 | base64 -d
    echo ;;
consult)
    send consult.xml | tr '<' '\n' | awk '/ExtrinsicObject /{new = 1} new && /LocalizedString/{print; new = 0}' \
        | sed 's/.*value="\([^"]*\)".*/\1/' ;;
esac
