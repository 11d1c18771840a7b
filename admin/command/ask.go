package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/parlance-im/parlance/xmpp/jid"
)

func stdinFlag(c *cobra.Command, to *bool) {
	c.Flags().BoolVar(to, "password-stdin", false, "read the password from standard input, up to the first line's end")
}

// terminal gives the descriptor of a stream that is a terminal.
func terminal(stream any) (fd int, ok bool) {
	f, isFile := stream.(*os.File)
	if !isFile {
		return 0, false
	}
	return int(f.Fd()), term.IsTerminal(int(f.Fd()))
}

// password reads one from standard input, or asks for it twice without echo.
func password(c *cobra.Command, stdin bool, who jid.JID) (string, error) {
	if stdin {
		return firstLine(c.InOrStdin())
	}
	fd, ok := terminal(c.InOrStdin())
	if !ok {
		return "", errors.New("there is no terminal to ask for the password on: use --password-stdin")
	}
	first, err := ask(c, fd, fmt.Sprintf("Password for %s: ", who))
	if err != nil {
		return "", err
	}
	second, err := ask(c, fd, "Once more: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("these were two different passwords")
	}
	return first, nil
}

func ask(c *cobra.Command, fd int, prompt string) (string, error) {
	fmt.Fprint(c.ErrOrStderr(), prompt)
	b, err := term.ReadPassword(fd)
	fmt.Fprintln(c.ErrOrStderr())
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	return string(b), nil
}

func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("read password: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", errors.New("there is no password on standard input")
	}
	return line, nil
}

// confirmed asks on a terminal; a script means what it says.
func confirmed(c *cobra.Command, who jid.JID) bool {
	if _, ok := terminal(c.InOrStdin()); !ok {
		return true
	}
	fmt.Fprintf(c.ErrOrStderr(), "Remove %s? Messages stay in the archive. [y/N] ", who)
	answer, err := bufio.NewReader(io.LimitReader(c.InOrStdin(), 100)).ReadString('\n')
	return err == nil && strings.EqualFold(strings.TrimSpace(answer), "y")
}
