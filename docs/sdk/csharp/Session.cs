// One session: it signs and authenticates with one card until it is closed or ends.

using System.Net.Http.Headers;
using System.Text;

namespace Cardd;

/// <summary>One open session; <see cref="Id"/> and <see cref="Token"/> are all that another process of the same user needs.
/// <c>await using</c> logs out at its end.</summary>
public sealed class Session : IAsyncDisposable
{
    private readonly CarddClient _cardd;
    private readonly string _path;

    internal Session(CarddClient cardd, string id, string token, SessionAnswer? opened)
    {
        (_cardd, Id, Token, Opened) = (cardd, id, token, opened);
        _path = $"/v1/sessions/{Uri.EscapeDataString(id)}";
    }

    /// <summary>What names it.</summary>
    public string Id { get; }

    /// <summary>What opens it: a secret.</summary>
    public string Token { get; }

    /// <summary>How it stood when it was opened here.</summary>
    public SessionAnswer? Opened { get; }

    /// <summary>How it stands.</summary>
    public Task<SessionAnswer> StateAsync(CancellationToken stop = default) =>
        _cardd.CallAsync<SessionAnswer>(HttpMethod.Get, _path, bearer: Token, stop: stop);

    /// <summary>Have the person act in this situation of practice from now on.</summary>
    public Task<SessionAnswer> SituateAsync(string situation, CancellationToken stop = default) =>
        _cardd.CallAsync<SessionAnswer>(
            HttpMethod.Post, $"{_path}/situation", new SituationBody { Id = situation }, Token, stop: stop);

    /// <summary>Sign one document once the user agrees; raw unless <c>Format</c> says otherwise.</summary>
    public Task<SignatureAnswer> SignAsync(SignatureBody wanted, CancellationToken stop = default) =>
        PostAsync<SignatureAnswer>("signatures", wanted, stop);

    /// <summary>Sign up to 1000 things under one consent, all or none.</summary>
    public Task<SignaturesAnswer> SignAsync(SignaturesBody wanted, CancellationToken stop = default) =>
        PostAsync<SignaturesAnswer>("signatures", wanted, stop);

    /// <summary>A VIHF, as the text that goes into the message unchanged.</summary>
    public Task<string> AssertionAsync(VihfBody wanted, CancellationToken stop = default) => TextAsync(wanted, stop);

    /// <summary>An INSi assertion, as the text that goes into the message unchanged.</summary>
    public Task<string> AssertionAsync(InsiBody wanted, CancellationToken stop = default) => TextAsync(wanted, stop);

    /// <summary>A web-eid:1.0 token for a server's nonce.</summary>
    public Task<AuthTokenAnswer> AuthTokenAsync(string nonce, CancellationToken stop = default) =>
        PostAsync<AuthTokenAnswer>("auth-tokens", new AuthTokenBody { Nonce = nonce }, stop);

    /// <summary>Have the session hold a document, 100 MiB at most; a signature names it by its id.</summary>
    public async Task<DocumentAnswer> HandOverAsync(Stream document, CancellationToken stop = default)
    {
        using var request = Request(HttpMethod.Post, "documents", new StreamContent(document), "application/octet-stream");
        using var answer = await _cardd.SendAsync(request, Token, stop);
        return System.Text.Json.JsonSerializer.Deserialize<DocumentAnswer>(await _cardd.ReadAsync(answer, stop))!;
    }

    /// <summary>A document that the session holds.</summary>
    public async Task<byte[]> FetchAsync(string id, CancellationToken stop = default)
    {
        using var request = Request(HttpMethod.Get, $"documents/{Uri.EscapeDataString(id)}", null, "");
        using var answer = await _cardd.SendAsync(request, Token, stop);
        return await _cardd.ReadAsync(answer, stop);
    }

    /// <summary>Ask a configured server over TLS with this session's key; its own answer has the header Cardd-Upstream, and
    /// is not looked at here.</summary>
    public async Task<HttpResponseMessage> RelayAsync(
        string name, string path, HttpMethod method, HttpContent? body = null, string kind = "application/soap+xml",
        CancellationToken stop = default)
    {
        using var request = Request(method, $"upstreams/{Uri.EscapeDataString(name)}/{path}", body, kind);
        return await _cardd.SendAsync(request, Token, stop);
    }

    /// <summary>Log out: the PIN is forgotten and the card de-authenticated when this returns.</summary>
    public Task CloseAsync(CancellationToken stop = default) =>
        _cardd.CallAsync<object>(HttpMethod.Delete, _path, bearer: Token, stop: stop);

    /// <summary>Log out; a session that has ended meanwhile is no error.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await CloseAsync();
        }
        catch (CarddException refused) when (refused.Code.StartsWith("session.") || refused.Code == "daemon.unreachable")
        {
        }
    }

    private Task<T> PostAsync<T>(string what, object wanted, CancellationToken stop) =>
        _cardd.CallAsync<T>(HttpMethod.Post, $"{_path}/{what}", wanted, Token, twice: true, stop: stop);

    private async Task<string> TextAsync(object wanted, CancellationToken stop) =>
        Encoding.UTF8.GetString((await PostAsync<AssertionAnswer>("assertions", wanted, stop)).Assertion);

    private HttpRequestMessage Request(HttpMethod method, string what, HttpContent? body, string kind)
    {
        if (body != null) body.Headers.ContentType = MediaTypeHeaderValue.Parse(kind);
        return new HttpRequestMessage(method, $"{_path}/{what}") { Content = body };
    }
}
