// The same small practice software in C# (.NET 8): dotnet run -- [consult | add TEXT | read DOCUMENT_ID]
// CARDD is the path of cardd's socket. The first run pairs and keeps the client secret where only its user can read it.

using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using System.Xml.Linq;

const string Ins = "185059999900181", Oid = "1.2.250.1.213.1.4.10";
var socketPath = Environment.GetEnvironmentVariable("CARDD") ?? "/run/cardd/cardd.sock";
var kept = Path.Combine(  // ~/.config
    Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData), "exemple-lps", "cardd-secret");
using var http = new HttpClient(new SocketsHttpHandler { ConnectCallback = Connect, UseProxy = false })
{
    BaseAddress = new Uri("http://localhost"),
    Timeout = TimeSpan.FromMinutes(10),  // a person is asked
};

async ValueTask<Stream> Connect(SocketsHttpConnectionContext context, CancellationToken stop)
{
    var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), stop);
    return new NetworkStream(socket, ownsSocket: true);
}

async Task<string> Send(HttpMethod method, string path, string bearer, string? body = null, string kind = "application/json",
                        string? prefer = null)
{
    using var request = new HttpRequestMessage(method, path);
    if (prefer != null) request.Headers.Add("Prefer", prefer);
    if (bearer != "") request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", bearer);
    if (body != null) request.Content = new StringContent(body, Encoding.UTF8, kind);
    using var answer = await http.SendAsync(request);
    var text = await answer.Content.ReadAsStringAsync();
    if (answer.IsSuccessStatusCode) return text;
    if (answer.Content.Headers.ContentType?.MediaType != "application/problem+json") throw new Exception(text);  // the DMP's
    var problem = JsonNode.Parse(text)!;
    throw new Refused((string)problem["code"]!, $"{problem["title"]}. {problem["detail"]} {problem["remedy"]}");
}

async Task<JsonNode> Cardd(string path, string bearer, JsonNode body) =>
    JsonNode.Parse(await Send(HttpMethod.Post, path, bearer, body.ToJsonString()))!;

// The client secret, once the user has agreed; whoever has it is this program, so it is kept from everybody else.
async Task<string> Pair()
{
    var about = new JsonObject { ["name"] = "LPS exemple", ["vendor"] = "SIMULATION", ["software_id"] = "exemple-lps" };
    var told = JsonNode.Parse(
        await Send(HttpMethod.Post, "/v1/clients", "", about.ToJsonString(), prefer: "respond-async"))!;
    Console.Error.WriteLine($"Accept this program if the dialog shows {told["code"]}");
    while (told["client_secret"] == null)
    {
        await Task.Delay(500);
        told = JsonNode.Parse(await Send(HttpMethod.Get, $"/v1/clients/pairings/{told["id"]}", ""))!;
    }
    var secret = (string)told["client_secret"]!;
    Directory.CreateDirectory(Path.GetDirectoryName(kept)!);
    File.Delete(kept);
    var mine = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
    if (!OperatingSystem.IsWindows()) mine.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    await using var file = new StreamWriter(kept, mine);
    await file.WriteAsync(secret);
    return secret;
}

async Task<JsonNode> LogIn(string secret) => await Cardd("/v1/sessions", secret, new JsonObject { ["method"] = "cpx" });

JsonNode opened;
try
{
    try
    {
        opened = await LogIn(File.Exists(kept) ? await File.ReadAllTextAsync(kept) : await Pair());
    }
    catch (Refused refused) when (refused.Code == "client.unknown")  // the user has unpaired it: ask again
    {
        opened = await LogIn(await Pair());
    }
}
catch (Exception refused)
{
    Console.Error.WriteLine(refused.Message);
    return 1;
}
string session = $"/v1/sessions/{opened["id"]}", token = (string)opened["token"]!;

// A message with its places filled.
async Task<string> Filled(string message, params (string Name, string Value)[] parts)
{
    var text = await File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, "messages", message));
    foreach (var (name, value) in parts) text = text.Replace($"@{name}@", value);
    return text;
}

// A message to the DMP, with a fresh VIHF in its header, over TLS with the card.
async Task<XDocument> Dmp(string message, params (string Name, string Value)[] parts)
{
    var wanted = new JsonObject
    {
        ["type"] = "vihf",
        ["lps"] = new JsonObject { ["name"] = "LPS SIMULATION", ["version"] = "1.0", ["homologation"] = "SIM-0001" },
        ["patient"] = new JsonObject { ["ins"] = Ins, ["oid"] = Oid },
    };
    var vihf = Convert.FromBase64String((string)(await Cardd($"{session}/assertions", token, wanted))["assertion"]!);
    var text = await Filled(message, parts);
    text = text.Replace("@INS@", $"{Ins}^^^&amp;{Oid}&amp;ISO^NH").Replace("@MESSAGE@", Guid.NewGuid().ToString());
    text = text.Replace("@VIHF@", Encoding.UTF8.GetString(vihf));  // as it is: its signature covers every octet
    var answer = XDocument.Parse(await Send(
        HttpMethod.Post, $"{session}/upstreams/dmp/simulation/repository", token, text, "application/soap+xml"));
    XNamespace rs = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0";
    foreach (var error in answer.Descendants(rs + "RegistryError"))  // the registry refused, in an answer like any other
        throw new Exception($"{error.Attribute("errorCode")?.Value}: {error.Attribute("codeContext")?.Value}");
    return answer;
}

static string Sha1(byte[] octets) => Convert.ToHexString(System.Security.Cryptography.SHA1.HashData(octets)).ToLowerInvariant();

static string NewId() => $"2.25.{new System.Numerics.BigInteger(Guid.NewGuid().ToByteArray(), isUnsigned: true)}";

try
{
    var settled = JsonNode.Parse(await Send(HttpMethod.Post, $"{session}/situation", token, """{"id": "1"}"""))!;
    var person = settled["identity"]!;
    var place = settled["situations"]!.AsArray().First(one => (string)one!["id"]! == (string)settled["situation"]!)!;
    string Told(JsonNode from, string name, string otherwise = "") =>
        System.Security.SecurityElement.Escape((string?)from[name] ?? otherwise);
    switch (args.FirstOrDefault() ?? "consult")
    {
        case "add":
            string set = NewId(), id = NewId(), text = Convert.ToBase64String(Encoding.UTF8.GetBytes(args[1]));
            (string, string)[] author = [
                ("DOCUMENT_ID", id), ("NOW", DateTime.UtcNow.ToString("yyyyMMddHHmmss")),
                ("PERSON_ID", Told(person, "national_id")), ("FAMILY", Told(person, "family_name")),
                ("GIVEN", Told(person, "given_name")), ("STRUCTURE", Told(place, "structure")),
                ("STRUCTURE_NAME", Told(place, "structure_name", "CABINET")),
            ];
            var cda = Encoding.UTF8.GetBytes(await Filled("document.xml", [.. author, ("TEXT", text)]));
            var content = Convert.ToBase64String(cda);
            var document = new JsonObject { ["unique_id"] = id, ["document"] = content, ["is_xml"] = true };
            var signed = await Cardd($"{session}/signatures", token, new JsonObject
            {
                ["document_name"] = "Lot de soumission",
                ["format"] = "submission_set",
                ["submission_set"] = new JsonObject { ["unique_id"] = set, ["documents"] = new JsonArray(document) },
            });
            var signature = Convert.FromBase64String((string)signed["document"]!);
            await Dmp("add.xml", [.. author, ("SET", set), ("DOCUMENT", content), ("SIGNATURE", (string)signed["document"]!),
                ("HASH", Sha1(cda)), ("SIZE", $"{cda.Length}"),
                ("SIGNATURE_HASH", Sha1(signature)), ("SIGNATURE_SIZE", $"{signature.Length}")]);
            Console.WriteLine($"added {id}");
            break;
        case "read":
            XNamespace xds = "urn:ihe:iti:xds-b:2007";
            XNamespace hl7 = "urn:hl7-org:v3";
            var read = (await Dmp("read.xml", ("DOCUMENT_ID", args[1]))).Descendants(xds + "Document").First().Value;
            using (var octets = new MemoryStream(Convert.FromBase64String(read)))
            {
                var inside = XDocument.Load(octets).Descendants(hl7 + "nonXMLBody").First().Element(hl7 + "text")!.Value;
                Console.WriteLine(Encoding.UTF8.GetString(Convert.FromBase64String(inside)));
            }
            break;
        default:
            XNamespace rim = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0";
            foreach (var entry in (await Dmp("consult.xml")).Descendants(rim + "ExtrinsicObject"))
                Console.WriteLine(entry.Element(rim + "Name")?.Element(rim + "LocalizedString")?.Attribute("value")?.Value);
            break;
    }
}
catch (Exception refused)
{
    Console.Error.WriteLine(refused.Message);
    return 1;
}
finally
{
    await Send(HttpMethod.Delete, session, token);
}
return 0;

class Refused(string code, string words) : Exception(words)
{
    public string Code { get; } = code;
}
