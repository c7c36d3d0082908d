// The same small practice software in C# (.NET 8), on the library of docs/sdk/csharp, which `make packages` puts together:
// dotnet run -- [consult | add TEXT | read DOCUMENT_ID]
// CARDD is the path of cardd's socket. The first run pairs and keeps the client secret where only its user can read it.

using System.Text;
using System.Xml.Linq;
using Cardd;

const string Ins = "185059999900181", Oid = "1.2.250.1.213.1.4.10";
var about = new PairBody { Name = "LPS exemple", Vendor = "SIMULATION", SoftwareId = "exemple-lps" };
var lps = new LpsBody { Name = "LPS SIMULATION", Version = "1.0", Homologation = "SIM-0001" };
var patient = new PatientBody { Ins = Ins, Oid = Oid };

using var cardd = new CarddClient(Environment.GetEnvironmentVariable("CARDD") ?? CarddClient.Socket);

// A message with its places filled.
async Task<string> Filled(string message, params (string Name, string Value)[] parts)
{
    var text = await File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, "messages", message));
    foreach (var (name, value) in parts) text = text.Replace($"@{name}@", value);
    return text;
}

// A message to the DMP, with a fresh VIHF in its header, over TLS with the card.
async Task<XDocument> Dmp(Session session, string message, params (string Name, string Value)[] parts)
{
    var text = await Filled(message, parts);
    text = text.Replace("@INS@", $"{Ins}^^^&amp;{Oid}&amp;ISO^NH").Replace("@MESSAGE@", Guid.NewGuid().ToString());
    // the VIHF as it is: its signature covers every octet
    text = text.Replace("@VIHF@", await session.AssertionAsync(new VihfBody { Lps = lps, Patient = patient }));
    using var told = await session.RelayAsync("dmp", "simulation/repository", HttpMethod.Post, new StringContent(text));
    var words = await told.Content.ReadAsStringAsync();
    if (!told.IsSuccessStatusCode) throw new Exception(words);  // the DMP's own, or cardd's problem
    var answer = XDocument.Parse(words);
    XNamespace rs = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0";
    foreach (var error in answer.Descendants(rs + "RegistryError"))  // the registry refused, in an answer like any other
        throw new Exception($"{error.Attribute("errorCode")?.Value}: {error.Attribute("codeContext")?.Value}");
    return answer;
}

static string Sha1(byte[] octets) => Convert.ToHexString(System.Security.Cryptography.SHA1.HashData(octets)).ToLowerInvariant();

static string NewId() => $"2.25.{new System.Numerics.BigInteger(Guid.NewGuid().ToByteArray(), isUnsigned: true)}";

string Told(string? value, string otherwise = "") => System.Security.SecurityElement.Escape(value ?? otherwise);

// A document, in a submission set that the card signs.
async Task<string> Add(Session session, string what)
{
    string set = NewId(), id = NewId(), text = Convert.ToBase64String(Encoding.UTF8.GetBytes(what));
    var (person, place) = (session.Opened!.Identity, session.Opened.Situations!.First(one => one.Id == session.Opened.Situation));
    (string, string)[] author = [
        ("DOCUMENT_ID", id), ("NOW", DateTime.UtcNow.ToString("yyyyMMddHHmmss")),
        ("PERSON_ID", Told(person.NationalId)), ("FAMILY", Told(person.FamilyName)), ("GIVEN", Told(person.GivenName)),
        ("STRUCTURE", Told(place.Structure)), ("STRUCTURE_NAME", Told(place.StructureName, "CABINET")),
    ];
    var cda = Encoding.UTF8.GetBytes(await Filled("document.xml", [.. author, ("TEXT", text)]));
    var signed = await session.SignAsync(new SignatureBody
    {
        DocumentName = "Lot de soumission",
        Format = "submission_set",
        SubmissionSet = new SubmissionSetBody
        {
            UniqueId = set,
            Documents = [new SetDocumentBody { UniqueId = id, Document = cda, IsXml = true }],
        },
    });
    var signature = signed.Document!;
    await Dmp(session, "add.xml", [.. author, ("SET", set), ("DOCUMENT", Convert.ToBase64String(cda)),
        ("SIGNATURE", Convert.ToBase64String(signature)), ("HASH", Sha1(cda)), ("SIZE", $"{cda.Length}"),
        ("SIGNATURE_HASH", Sha1(signature)), ("SIGNATURE_SIZE", $"{signature.Length}")]);
    return id;
}

// The text in a document.
async Task<string> Read(Session session, string id)
{
    XNamespace xds = "urn:ihe:iti:xds-b:2007", hl7 = "urn:hl7-org:v3";
    var read = (await Dmp(session, "read.xml", ("DOCUMENT_ID", id))).Descendants(xds + "Document").First().Value;
    using var octets = new MemoryStream(Convert.FromBase64String(read));
    var inside = XDocument.Load(octets).Descendants(hl7 + "nonXMLBody").First().Element(hl7 + "text")!.Value;
    return Encoding.UTF8.GetString(Convert.FromBase64String(inside));
}

try
{
    await cardd.PairOnceAsync(
        about, told => Console.Error.WriteLine($"Accept this program if the dialog shows {told.Code}"));
    await using var session = await cardd.LoginAsync(new SessionBody { Method = "cpx", Situation = "1" });
    switch (args.FirstOrDefault() ?? "consult")
    {
        case "add":
            Console.WriteLine($"added {await Add(session, args[1])}");
            break;
        case "read":
            Console.WriteLine(await Read(session, args[1]));
            break;
        default:
            XNamespace rim = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0";
            foreach (var entry in (await Dmp(session, "consult.xml")).Descendants(rim + "ExtrinsicObject"))
                Console.WriteLine(entry.Element(rim + "Name")?.Element(rim + "LocalizedString")?.Attribute("value")?.Value);
            break;
    }
}
catch (Exception refused)
{
    Console.Error.WriteLine(refused.Message);
    return 1;
}
return 0;
