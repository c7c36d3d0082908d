// What the ten lines leave out of the library: the socket is the first argument.

using System.Text;
using Cardd;

using var cardd = new CarddClient(args[0], language: "en");
async Task<string> Code(Func<Task> asked)
{
    try
    {
        await asked();
        return "nothing";
    }
    catch (CarddException refused)
    {
        return refused.Code;
    }
}

await cardd.PairOnceAsync(new PairBody { Name = "LPS", Vendor = "SIMULATION", SoftwareId = "more" }, _ => { });
var cards = (await cardd.CardsAsync()).Cards.Count;
Console.WriteLine($"state {(await cardd.StatusAsync()).State} {(await cardd.MethodsAsync()).Methods.Count > 0} {cards}");
var opened = await cardd.LoginAsync(new SessionBody { Method = "cpx" });
var session = cardd.Resume(opened.Id, opened.Token); // as another process would have it
Console.WriteLine($"situation {(await session.SituateAsync("1")).Situation} {(await session.StateAsync()).State}");
var text = Encoding.ASCII.GetBytes(new string('x', 3_000_000));
var handed = await session.HandOverAsync(new MemoryStream(text));
var wanted = new SignatureBody { DocumentName = "grand.txt", DocumentId = handed.Id, Format = "cades" };
var fetched = await session.FetchAsync((await session.SignAsync(wanted)).DocumentId!);
var unknown = await Code(() => session.FetchAsync("0123456789abcdef"));
Console.WriteLine($"handed over {handed.Size} {fetched.Length > handed.Size} {unknown}");
Console.WriteLine($"token {(await session.AuthTokenAsync(new string('n', 44))).Format}");
using var told = await session.RelayAsync("nowhere", "registry", HttpMethod.Post, new ByteArrayContent(text[..9]));
Console.WriteLine($"relayed {(int)told.StatusCode} {told.Headers.Contains("Cardd-Upstream")}");
var item = new SignatureItem { DocumentName = "a.txt", Document = text[..9] };
var batch = await session.SignAsync(new SignaturesBody { Signatures = [item, item with { DocumentName = "b.txt" }] });
Console.WriteLine($"batch {batch.Signatures.Count}");
try
{
    await session.SignAsync(new SignatureBody { DocumentName = "a.xml", Document = text[..9], Format = "xades" });
}
catch (CarddException refused)
{
    Console.WriteLine($"refused {refused.Code} {refused.Message.StartsWith($"{refused.Problem!.Title}. ")}");
}
await session.CloseAsync();
await session.DisposeAsync(); // which is no error
Console.WriteLine($"after {await Code(() => session.StateAsync())} {await Code(() => cardd.CallAsync<object>(HttpMethod.Get, "/v1/nothing"))}");
