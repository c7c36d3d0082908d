#!/bin/bash
# A patient's INS from INSi, with cardctl and curl: ins.sh BIRTH_NAME GIVEN_NAME M|F YYYY-MM-DD
#
# After `cardctl login --assertions`, with INSi in cardd's configuration as upstreams.insi. BILLING is the professional's
# identifiantFacturation, SPECIALTY a doctor's speciality (the Assurance Maladie's code), SITUATION where they practise;
# CARDD the path of cardd's socket, where it is not the service's.
set -euo pipefail
[ $# -eq 4 ] || { sed -n 2p "$0" >&2; exit 2; }
MESSAGE=$(cat "$(dirname "$0")/request.xml")
CARDCTL=(cardctl ${CARDD:+--socket "$CARDD"})

# The assertion says who asks; INSi holds it against the card that opens TLS.
ASSERTION=$("${CARDCTL[@]}" insi --lps-name "LPS SIMULATION" --lps-homologation SIM-0001 --situation "${SITUATION:-1}" \
            --billing "${BILLING:-991234567}" ${SPECIALTY+--specialty "$SPECIALTY"})

place() { MESSAGE=${MESSAGE//@$1@/"$2"}; }
text() { local plain=${1//&/"&amp;"}; printf %s "${plain//</"&lt;"}"; }
place NAME "$(text "$1")"
place GIVEN "$(text "$2")"
place SEX "$3"
place DATE "$4"
place NOW "$(date -u +%Y-%m-%dT%H:%M:%S.000Z)"
place MESSAGE "$(cat /proc/sys/kernel/random/uuid)"
place SENDER "$(sed -n 's/.*<NameID[^>]*>\([^<]*\)<.*/\1/p' <<< "$ASSERTION")"
place ASSERTION "$ASSERTION"

# The tunnel is TLS with the card, for as long as this runs.
exec 3< <(exec "${CARDCTL[@]}" tunnel insi --json)
TUNNEL=$!
trap 'kill "$TUNNEL" 2> /dev/null' EXIT
URL=""
while [ -z "$URL" ] && read -r LINE <&3; do URL=$(sed -n 's/.*"url": "\([^"]*\)".*/\1/p' <<< "$LINE"); done
# Without --noproxy a desktop's http_proxy would be told the patient's traits.
ANSWER=$(curl -sS --noproxy '*' -H 'Content-Type: application/soap+xml; charset=utf-8' --data-binary @<(printf %s "$MESSAGE") "$URL/simulation/insi")

value() { sed -n "s/.*<$1>\([^<]*\)<.*/\1/p" <<< "$ANSWER"; }
case $(value CodeCR) in
00) echo "$(value NumIdentifiant)$(value Cle) $(value OID)" ;;
01 | 02) value LibelleCR >&2; exit 1 ;;
*) grep -o '<sim:Raison>[^<]*' <<< "$ANSWER" | cut -d'>' -f2 >&2 || echo "$ANSWER" >&2; exit 1 ;;
esac
