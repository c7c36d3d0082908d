#!/bin/sh
# A pinentry for tests without a person: types the simulated card's PIN and says yes. Never on a workstation with a real card.
# What comes in a dialog's first 0.7 s is not taken, hence the pauses.
echo "OK agree"
while read -r order _; do
    case $order in
        GETPIN) sleep 1; printf 'D 1234\nOK\n' ;;
        CONFIRM) sleep 1; echo "OK" ;;
        BYE) echo "OK"; exit ;;
        *) echo "OK" ;;
    esac
done
