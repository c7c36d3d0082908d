// A program that stays while cardd begins anew, and one whose cardd says nothing: node silent.mjs SOCKET SILENT.

import { once } from "node:events";
import { connect } from "cardd-client/node";

const cardd = connect({ socket: process.argv[2] });
console.log((await cardd.status()).state);
await once(process.stdin, "data"); // cardd has begun anew
console.log((await cardd.status()).state);
await connect({ socket: process.argv[3], answerLimit: 200 }).status().catch((refused) => console.log(refused.code));
process.exit();
