// How requests reach cardd: over its socket, where nobody but the service can listen, or over the port.

using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Cardd;

/// <summary>A way to the daemon. One that is sure leads to nobody else; over another, cardd proves itself first.</summary>
internal sealed class Way
{
    private static readonly Regex Loopback = new(@"^http://(127\.0\.0\.1|\[::1\]|localhost):\d{1,5}/?\z");
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(15); // a person is asked
    private readonly string _language;

    private Way(string where, string? socket, string language)
    {
        (Where, IsSure, _language) = (where, socket != null, language);
        var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false };
        if (socket != null) handler.ConnectCallback = async (_, stop) => await ConnectAsync(socket, stop);
        Http = new HttpClient(handler) { BaseAddress = new Uri(socket == null ? where : "http://localhost"), Timeout = Patience };
    }

    public string Where { get; }

    public bool IsSure { get; }

    public HttpClient Http { get; }

    public static Way To(string at, string language)
    {
        if (!at.Contains("://")) return new Way(at, at, language);
        if (!Loopback.IsMatch(at)) throw CarddException.Local("request.invalid", at, language);
        return new Way(at.TrimEnd('/').Replace("//localhost:", "//127.0.0.1:"), null, language);
    }

    /// <summary>Look, before anything is sent, whether another user could have put the socket there.</summary>
    public void RefuseStrangers()
    {
        if (IsSure && Listener.IsOfStranger(Listener.Resolved(Where)))
            throw CarddException.Local("daemon.socket_exposed", Where, _language);
    }

    private static async Task<Stream> ConnectAsync(string socket, CancellationToken stop)
    {
        var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await connection.ConnectAsync(new UnixDomainSocketEndPoint(Listener.Resolved(socket)), stop);
            return new NetworkStream(connection, ownsSocket: true);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }
}
