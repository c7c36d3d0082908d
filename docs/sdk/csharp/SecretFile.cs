// A client secret between two runs of its program: in a file that nobody but the program's own user can read.

namespace Cardd;

/// <summary>The file of one program: ~/.config/SOFTWARE_ID/cardd-secret, or another path.</summary>
public sealed class SecretFile
{
    private const int Others = 0x3F; // 077
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);
    private readonly string _language;

    /// <summary>Nothing is read or written yet.</summary>
    public SecretFile(string softwareId, string? path = null, string language = "fr")
    {
        var home = Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        Path = path ?? System.IO.Path.Combine(home, softwareId.Replace('/', '_').Replace(':', '_'), "cardd-secret");
        _language = language;
    }

    /// <summary>Where it is.</summary>
    public string Path { get; }

    /// <summary>The secret, null when there is none yet.</summary>
    public string? Load()
    {
        try
        {
            if (!Listener.Found(Path, out var found)) return null;
            if (!found.IsFile) throw CarddException.Local("client.secret_unavailable", Path, _language);
            using var file = new FileStream(Path, FileMode.Open, FileAccess.Read);
            found = Listener.Found(file.SafeFileHandle);
            if (found.User != Listener.Me || (found.Mode & Others) != 0)
                throw CarddException.Local("client.secret_exposed", Path, _language);
            using var text = new StreamReader(file);
            return text.ReadToEnd().Trim() is { Length: > 0 } secret ? secret : null;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw CarddException.Local("client.secret_unavailable", Path, _language, fault);
        }
    }

    /// <summary>Keep this secret instead of an earlier one; it is on disk when this returns.</summary>
    public void Save(string secret)
    {
        var fresh = $"{Path}.{Environment.ProcessId}";
        try
        {
            File.Delete(fresh);
            using (var file = new FileStream(fresh, Mine(FileMode.CreateNew))) // its mode from the start
            {
                file.Write(System.Text.Encoding.ASCII.GetBytes(secret));
                file.Flush(flushToDisk: true);
            }
            File.Move(fresh, Path, overwrite: true);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw CarddException.Local("client.secret_unavailable", Path, _language, fault);
        }
    }

    /// <summary>Remove the secret, after the program was unpaired.</summary>
    public void Forget() => File.Delete(Path);

    /// <summary>Wait until no other process of this program pairs, and keep the others waiting until it is disposed.</summary>
    internal async Task<IAsyncDisposable> AloneAsync(CancellationToken stop)
    {
        try
        {
            const UnixFileMode mine = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path)!, mine);
            for (; ; )
            {
                try
                {
                    return new FileStream($"{Path}.lock", Mine(FileMode.OpenOrCreate)); // which nobody else opens meanwhile
                }
                catch (IOException held) when (held.HResult == Listener.WouldBlock)
                {
                    await Task.Delay(Pause, stop);
                }
            }
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw CarddException.Local("client.secret_unavailable", Path, _language, fault);
        }
    }

    private static FileStreamOptions Mine(FileMode mode) => new()
    {
        Mode = mode,
        Access = FileAccess.ReadWrite,
        Share = FileShare.None,
        UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
    };
}
