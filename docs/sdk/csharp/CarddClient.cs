// The client of cardd's API for .NET 8 and newer, on Linux. The types are made of /openapi.json (Api.cs); the rest is
// written by hand: pairing, the kept secret, the daemon's proof.

using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Cardd;

/// <summary>One daemon and, once paired, one paired program.</summary>
public sealed class CarddClient : IDisposable
{
    /// <summary>Where the service listens.</summary>
    public const string Socket = "/run/cardd/cardd.sock";

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);
    private static readonly JsonSerializerOptions Json = new() { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    private readonly Way _way;
    private readonly TimeSpan _answerLimit;
    private string? _secret;
    private bool _isProven;

    /// <summary><paramref name="at"/> is a socket's path, or this machine's own http://127.0.0.1:17463;
    /// <paramref name="secret"/> is what pairing gave; <paramref name="language"/> that of what a person reads. What the daemon answers by itself is waited for
    /// <paramref name="answerLimit"/>, a minute by default.</summary>
    public CarddClient(string at = Socket, string? secret = null, string language = "fr", TimeSpan? answerLimit = null)
    {
        _answerLimit = answerLimit ?? TimeSpan.FromMinutes(1);
        Language = language;
        _way = Way.To(at, language);
        _secret = secret;
    }

    /// <summary>The language of what a person reads: fr or en.</summary>
    public string Language { get; }

    /// <summary>Whether nobody but the service can listen where this client asks.</summary>
    internal bool IsSure => _way.IsSure;

    /// <summary>What pairing gave; <see cref="PairOnceAsync"/> keeps it.</summary>
    public string? Secret
    {
        get => _secret;
        set => (_secret, _isProven) = (value, false);
    }

    /// <summary>The daemon's version and state.</summary>
    public Task<StatusAnswer> StatusAsync(CancellationToken stop = default) =>
        CallAsync<StatusAnswer>(HttpMethod.Get, "/v1/status", stop: stop);

    /// <summary>The login methods, and what each lacks.</summary>
    public Task<MethodsAnswer> MethodsAsync(CancellationToken stop = default) =>
        CallAsync<MethodsAnswer>(HttpMethod.Get, "/v1/methods", bearer: _secret, stop: stop);

    /// <summary>The inserted cards.</summary>
    public Task<CardsAnswer> CardsAsync(CancellationToken stop = default) =>
        CallAsync<CardsAnswer>(HttpMethod.Get, "/v1/cards", bearer: _secret, stop: stop);

    /// <summary>Have the user accept this program. Show the six digits that <paramref name="onCode"/> gets: the dialog
    /// shows them too.</summary>
    public async Task<string> PairAsync(PairBody about, Action<PairingAnswer> onCode, CancellationToken stop = default)
    {
        var told = await CallAsync<JsonElement>(HttpMethod.Post, "/v1/clients", about, respondAsync: true, stop: stop);
        if (told.TryGetProperty("code", out _)) onCode(told.Deserialize<PairingAnswer>(Json)!);
        while (!told.TryGetProperty("client_secret", out _))
        {
            await Task.Delay(Pause, stop);
            var place = $"/v1/clients/pairings/{Uri.EscapeDataString(told.GetProperty("id").GetString()!)}";
            told = await CallAsync<JsonElement>(HttpMethod.Get, place, stop: stop);
        }
        return Secret = told.Deserialize<ClientAnswer>(Json)!.ClientSecret;
    }

    /// <summary>Pair, unless an earlier run did. Processes that come at the same time ask the user once. Over the socket a
    /// program that was unpaired meanwhile is paired anew; over the port that throws client.unknown, because another
    /// program that took it could say so: <see cref="SecretFile.Forget"/> the secret when the user agrees.</summary>
    public async Task PairOnceAsync(
        PairBody about, Action<PairingAnswer> onCode, SecretFile? kept = null, CancellationToken stop = default)
    {
        kept ??= new SecretFile(about.SoftwareId, language: Language);
        var secret = kept.Load();
        if (await IsTakenAsync(secret, stop)) return;
        await using var alone = await kept.AloneAsync(stop);
        var another = kept.Load();
        if (another != secret && await IsTakenAsync(another, stop)) return;
        kept.Save(await PairAsync(about, onCode, stop));
    }

    private async Task<bool> IsTakenAsync(string? secret, CancellationToken stop)
    {
        Secret = secret;
        if (secret == null) return false;
        try
        {
            await MethodsAsync(stop);
            return true;
        }
        catch (CarddException refused) when (refused.Code == "client.unknown" && IsSure)
        {
            Secret = null;
            return false;
        }
    }

    /// <summary>Log in: the method cpx asks for the PIN. A login by e-CPS comes pending: ask for its state until it is
    /// open.</summary>
    public async Task<Session> LoginAsync(SessionBody wanted, CancellationToken stop = default)
    {
        var opened = await CallAsync<SessionAnswer>(HttpMethod.Post, "/v1/sessions", wanted, _secret, twice: true, stop: stop);
        return new Session(this, opened.Id, opened.Token!, opened);
    }

    /// <summary>A session that was opened before, perhaps by another process of the same user.</summary>
    public Session Resume(string id, string token) => new(this, id, token, null);

    /// <summary>One call of the API, for what has no method here; <paramref name="twice"/> sends it a second time when the
    /// connection breaks, under one Idempotency-Key.</summary>
    public async Task<T> CallAsync<T>(
        HttpMethod method, string path, object? body = null, string? bearer = null, bool twice = false,
        bool respondAsync = false, CancellationToken stop = default)
    {
        var key = twice ? Guid.NewGuid().ToString("N") : null;
        for (var left = twice ? 2 : 1; ; left--)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
            if (method == HttpMethod.Get) limit.CancelAfter(_answerLimit);
            using var request = new HttpRequestMessage(method, path);
            if (key != null) request.Headers.Add("Idempotency-Key", key);
            if (respondAsync) request.Headers.Add("Prefer", "respond-async");
            if (body != null) request.Content = OfJson(body);
            try
            {
                using var answer = await SendAsync(request, bearer, limit.Token);
                var content = await ReadAsync(answer, limit.Token);
                return content.Length == 0 ? default! : JsonSerializer.Deserialize<T>(content, Json)!;
            }
            catch (CarddException refused) when (left > 1 && refused.Code is "daemon.unreachable" or "audit.slow")
            {
                // after audit.slow, what the card signed comes under the same key once the disk has taken it
            }
            catch (OperationCanceledException late) when (!stop.IsCancellationRequested)
            {
                throw CarddException.Local("daemon.unreachable", _way.Where, Language, late);
            }
            catch (JsonException garbled)
            {
                throw CarddException.Local("daemon.unreachable", _way.Where, Language, garbled);
            }
        }
    }

    /// <summary>One request, whatever its answer; the secret goes only to a daemon that has proved that it knows it.</summary>
    public async Task<HttpResponseMessage> SendAsync(
        HttpRequestMessage request, string? bearer = null, CancellationToken stop = default)
    {
        if (bearer != null) await DemandProofAsync(stop);
        request.Headers.AcceptLanguage.ParseAdd(Language);
        if (bearer != null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", bearer);
        try
        {
            _way.RefuseStrangers();
            return await _way.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
        }
        catch (Exception fault) when (fault is HttpRequestException or IOException)
        {
            _isProven = false; // who comes back may be another
            throw CarddException.Local("daemon.unreachable", _way.Where, Language, fault);
        }
    }

    /// <summary>The body of an answer that is no refusal.</summary>
    internal async Task<byte[]> ReadAsync(HttpResponseMessage answer, CancellationToken stop)
    {
        byte[] content;
        try
        {
            content = await answer.Content.ReadAsByteArrayAsync(stop);
        }
        catch (Exception fault) when (fault is HttpRequestException or IOException)
        {
            throw CarddException.Local("daemon.unreachable", _way.Where, Language, fault);
        }
        if (answer.IsSuccessStatusCode) return content;
        throw CarddException.Of(content) ?? CarddException.Local("daemon.unreachable", _way.Where, Language);
    }

    private static ByteArrayContent OfJson(object body)
    {
        var content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(body, body.GetType(), Json));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return content;
    }

    private async Task DemandProofAsync(CancellationToken stop)
    {
        if (IsSure || _isProven || _secret == null) return; // another process's session has nothing to ask with
        var challenge = Convert.ToHexString(RandomNumberGenerator.GetBytes(32));
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/status");
        request.Headers.Add("Cardd-Challenge", $"{_secret.Split('.')[0]} {challenge}");
        using var answer = await SendAsync(request, null, stop);
        await ReadAsync(answer, stop);
        var given = answer.Headers.TryGetValues("Cardd-Proof", out var values) ? string.Concat(values) : "";
        var message = string.Join('\0', "cardd proof", challenge, _way.Where.Replace("http://", ""));
        var expected = HMACSHA256.HashData(SHA256.HashData(Encoding.UTF8.GetBytes(_secret)), Encoding.UTF8.GetBytes(message));
        var proof = Encoding.ASCII.GetBytes(Convert.ToHexString(expected).ToLowerInvariant());
        if (!CryptographicOperations.FixedTimeEquals(proof, Encoding.ASCII.GetBytes(given)))
            throw CarddException.Local("daemon.unproven", _way.Where, Language);
        _isProven = true;
    }

    /// <summary>Give the connections back.</summary>
    public void Dispose() => _way.Http.Dispose();
}
