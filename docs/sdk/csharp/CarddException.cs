// What cardd refused, and what this library refuses by itself.

using System.Text.Json;

namespace Cardd;

/// <summary>Decide by <see cref="Code"/> (docs/errors.md of cardd), show the message: it is written for the person at the
/// screen, in the client's language.</summary>
public sealed class CarddException : Exception
{
    private static readonly Dictionary<string, (string French, string English)> Words = new()
    {
        ["request.invalid"] = ("cardd est sur cette machine : http://127.0.0.1:PORT", "cardd is on this machine: http://127.0.0.1:PORT"),
        ["daemon.unreachable"] = ("cardd ne répond pas", "cardd does not answer"),
        ["daemon.unproven"] = (
            "Ce qui répond là n'est pas le cardd de cet appairage ; rien ne lui a été dit",
            "What answers there is not the cardd of this pairing; it was told nothing"),
        ["daemon.socket_exposed"] = (
            "Un autre utilisateur a pu placer là ce socket ; rien ne lui a été envoyé",
            "Another user could have put this socket there; nothing was sent to it"),
        ["client.secret_exposed"] = (
            "D'autres peuvent lire ce fichier : désappairez le programme (« cardctl clients »), supprimez le fichier, puis relancez le programme",
            "Others may read this file: unpair the program (“cardctl clients”), remove the file, and start the program again"),
        ["client.secret_unavailable"] = (
            "Ce fichier ne peut être lu ou écrit, et le secret du programme n'y est pas conservé",
            "This file cannot be read or written, and the program's secret is not kept in it"),
    };

    private CarddException(string code, string message, Problem? problem, Exception? cause) : base(message, cause) =>
        (Code, Problem) = (code, problem);

    /// <summary>The stable code.</summary>
    public string Code { get; }

    /// <summary>All that cardd said; null for what this library refused.</summary>
    public Problem? Problem { get; }

    /// <summary>The code, what it means, and where.</summary>
    public override string ToString() => $"{Code}: {base.ToString()}";

    internal static CarddException? Of(byte[] content)
    {
        try
        {
            var problem = JsonSerializer.Deserialize<Problem>(content)!;
            return new CarddException(problem.Code, $"{problem.Title}. {problem.Detail} {problem.Remedy}".Trim(), problem, null);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    internal static CarddException Local(string code, string where, string language, Exception? cause = null)
    {
        var (french, english) = Words[code];
        return new CarddException(code, $"{(language == "en" ? english : french)} ({where})", null, cause);
    }
}
