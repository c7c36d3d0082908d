// The same small practice software in C# (.NET 8): dotnet run -- [consult | add TEXT | read DOCUMENT_ID]
// CARDD is cardd's address, CARDD_SECRET the client secret of an earlier pairing; without one, it pairs first.

using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using System.Xml.Linq;

const string Ins = "185059999900181", Oid = "1.2.250.1.213.1.4.10";
var address = Environment.GetEnvironmentVariable("CARDD") ?? "http://127.0.0.1:17463";
using var http = new HttpClient { BaseAddress = new Uri(address), Timeout = TimeSpan.FromMinutes(10) };  // a person is asked

async Task<string> Send(HttpMethod method, string path, string bearer, string? body = null, string kind = "application/json")
{
    using var request = new HttpRequestMessage(method, path);
    if (bearer != "") request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", bearer);
    if (body != null) request.Content = new StringContent(body, Encoding.UTF8, kind);
    using var answer = await http.SendAsync(request);
    var text = await answer.Content.ReadAsStringAsync();
    if (answer.IsSuccessStatusCode) return text;
    if (answer.Content.Headers.ContentType?.MediaType != "application/problem+json") throw new Exception(text);  // the DMP's
    var problem = JsonNode.Parse(text)!;
    throw new Exception($"{problem["title"]}. {problem["detail"]} {problem["remedy"]}");
}

async Task<JsonNode> Cardd(string path, string bearer, JsonNode body) =>
    JsonNode.Parse(await Send(HttpMethod.Post, path, bearer, body.ToJsonString()))!;

var secret = Environment.GetEnvironmentVariable("CARDD_SECRET");
if (string.IsNullOrEmpty(secret))
{
    var about = new JsonObject { ["name"] = "LPS exemple", ["vendor"] = "SIMULATION", ["software_id"] = "exemple-lps" };
    secret = (string)(await Cardd("/v1/clients", "", about))["client_secret"]!;
}
var opened = await Cardd("/v1/sessions", secret, new JsonObject { ["method"] = "cpx" });
string session = $"/v1/sessions/{opened["id"]}", token = (string)opened["token"]!;

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
    var text = await File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, "messages", message));
    foreach (var (name, value) in parts) text = text.Replace($"@{name}@", value);
    text = text.Replace("@INS@", $"{Ins}^^^&amp;{Oid}&amp;ISO^NH").Replace("@MESSAGE@", Guid.NewGuid().ToString());
    text = text.Replace("@VIHF@", Encoding.UTF8.GetString(vihf));  // as it is: its signature covers every octet
    return XDocument.Parse(await Send(
        HttpMethod.Post, $"{session}/upstreams/dmp/simulation/repository", token, text, "application/soap+xml"));
}

static string NewId() => $"2.25.{new System.Numerics.BigInteger(Guid.NewGuid().ToByteArray(), isUnsigned: true)}";

try
{
    await Send(HttpMethod.Post, $"{session}/situation", token, """{"id": "1"}""");
    switch (args.FirstOrDefault() ?? "consult")
    {
        case "add":
            string set = NewId(), id = NewId(), content = Convert.ToBase64String(Encoding.UTF8.GetBytes(args[1]));
            var document = new JsonObject { ["unique_id"] = id, ["document"] = content };
            var signed = await Cardd($"{session}/signatures", token, new JsonObject
            {
                ["document_name"] = "Lot de soumission",
                ["format"] = "submission_set",
                ["submission_set"] = new JsonObject { ["unique_id"] = set, ["documents"] = new JsonArray(document) },
            });
            await Dmp("add.xml", ("SET", set), ("DOCUMENT_ID", id), ("DOCUMENT", content),
                      ("SIGNATURE", (string)signed["document"]!));
            Console.WriteLine($"added {id}");
            break;
        case "read":
            XNamespace xds = "urn:ihe:iti:xds-b:2007";
            var read = (await Dmp("read.xml", ("DOCUMENT_ID", args[1]))).Descendants(xds + "Document").First().Value;
            Console.WriteLine(Encoding.UTF8.GetString(Convert.FromBase64String(read)));
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
    Environment.ExitCode = 1;
}
finally
{
    await Send(HttpMethod.Delete, session, token);
}
