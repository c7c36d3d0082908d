// A practice software in ten lines: pair with the code shown, keep the secret, log in, sign, VIHF, log out.

using System.Text;
using Cardd;

using var cardd = new CarddClient("/run/cardd/cardd.sock", language: "fr");
var about = new PairBody { Name = "Mon LPS", Vendor = "Editeur", SoftwareId = "mon-lps" };
await cardd.PairOnceAsync(about, told => Console.WriteLine($"compare: {told.Code}"));
await using var session = await cardd.LoginAsync(new SessionBody { Method = "cpx", Situation = "1" });
var document = Encoding.UTF8.GetBytes("Compte rendu SIMULATION\n");
var signed = await session.SignAsync(new SignatureBody { DocumentName = "compte-rendu.txt", Document = document });
Console.WriteLine($"signed: {signed.Algorithm} {signed.Signature!.Length} bytes");
var lps = new LpsBody { Name = "Mon LPS", Homologation = "SIM-0001" };
var patient = new PatientBody { Ins = "185059999900181", Oid = "1.2.250.1.213.1.4.10" };
var vihf = await session.AssertionAsync(new VihfBody { Lps = lps, Patient = patient });
Console.WriteLine($"VIHF: {(vihf.Contains("Assertion") ? "true" : "false")}");
