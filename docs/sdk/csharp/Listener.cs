// Who may have put a file or a socket where it lies. .NET tells no owners, so the C library is asked: statx(2), the same
// on all machines.

using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Cardd;

/// <summary>Files, their owners and their modes.</summary>
internal static class Listener
{
    /// <summary>What a lock of another process is told by (EWOULDBLOCK).</summary>
    public const int WouldBlock = 11;

    private const int HereDirectory = -100, NoFollow = 0x100, EmptyPath = 0x1000, NotFound = 2;
    private const uint TypeModeUser = 0x1 | 0x2 | 0x8;

    /// <summary>The user of this process.</summary>
    public static uint Me => geteuid();

    /// <summary>A file's owner and mode.</summary>
    public readonly record struct Told(uint User, int Mode)
    {
        public bool IsFile => (Mode & 0xF000) == 0x8000;

        public bool IsOpen => (Mode & 0x2) != 0; // everybody may write

        public bool IsSticky => (Mode & 0x200) != 0;
    }

    /// <summary>What lies there, links not followed; false for nothing.</summary>
    public static bool Found(string path, out Told found)
    {
        var answer = new byte[256];
        var failed = statx(HereDirectory, path, NoFollow, TypeModeUser, answer) != 0;
        var why = Marshal.GetLastPInvokeError();
        found = failed ? default : Of(answer);
        if (failed && why != NotFound) throw new IOException($"{path}: {Marshal.GetPInvokeErrorMessage(why)}");
        return !failed;
    }

    /// <summary>What was opened.</summary>
    public static Told Found(SafeHandle opened)
    {
        var answer = new byte[256];
        if (statx((int)opened.DangerousGetHandle(), "", EmptyPath, TypeModeUser, answer) != 0)
            throw new IOException(Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError()));
        return Of(answer);
    }

    /// <summary>The path without links.</summary>
    public static string Resolved(string path)
    {
        var found = realpath(path, IntPtr.Zero);
        if (found == IntPtr.Zero) throw new FileNotFoundException(path);
        try
        {
            return Marshal.PtrToStringUTF8(found)!;
        }
        finally
        {
            free(found);
        }
    }

    /// <summary>Whether a user who is neither root nor this one could have put that there. In a folder into which everybody
    /// may write, nothing counts but what a trusted user owns under the sticky bit; whom a trusted user gave a folder is
    /// trusted.</summary>
    public static bool IsOfStranger(string path)
    {
        var trusted = new HashSet<uint> { 0, Me };
        var (isOpen, isSticky) = (false, true);
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        for (var count = 0; count <= parts.Length; count++)
        {
            var way = "/" + string.Join('/', parts.Take(count));
            if (!Found(way, out var found)) throw new FileNotFoundException(way);
            if (isOpen && !(trusted.Contains(found.User) && isSticky)) return true;
            trusted.Add(found.User);
            (isOpen, isSticky) = (found.IsOpen, found.IsSticky);
        }
        return false;
    }

    private static Told Of(byte[] answer) => new(
        BinaryPrimitives.ReadUInt32LittleEndian(answer.AsSpan(20)), BinaryPrimitives.ReadUInt16LittleEndian(answer.AsSpan(28)));

    [DllImport("libc", SetLastError = true)]
    private static extern int statx(
        int directory, [MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, uint mask, [Out] byte[] answer);

    [DllImport("libc")]
    private static extern uint geteuid();

    [DllImport("libc", SetLastError = true)]
    private static extern IntPtr realpath([MarshalAs(UnmanagedType.LPUTF8Str)] string path, IntPtr into);

    [DllImport("libc")]
    private static extern void free(IntPtr memory);
}
