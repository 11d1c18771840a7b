package attack

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// startCanary gives p a canary of three people nobody else knows.
func (p *place) startCanary() error {
	if p.bird != nil {
		return errors.New("canary: there is one already: the shared server has its own")
	}
	who, err := p.birds()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p.bird, err = StartCanary(ctx, who[0], who[1], who[2], 200*time.Millisecond)
	return err
}

// birds are the three people of a canary.
func (p *place) birds() (who [3]client.Options, err error) {
	for i := range who {
		user, err := p.take()
		if err != nil {
			return who, err
		}
		who[i] = p.options(user, "canary")
	}
	return who, nil
}

// canary starts one at p; the returned function stops it and judges it.
func canary(t *testing.T, p *place) (stop func() Report) {
	t.Helper()
	var end func() Report
	if *full {
		end = p.caged(t)
	} else if err := p.startCanary(); err != nil {
		t.Fatal(err)
	} else {
		end = p.bird.Stop
	}
	return func() Report {
		t.Helper()
		r := end()
		t.Log(r)
		if err := ill(r); err != nil {
			t.Error(err)
		}
		return r
	}
}

// ill says what HARDENING §0, CANARY, holds against a report: no error, p99
// 250 ms and a login in 2 s, both times ten where other work shares the machine.
func ill(r Report) error {
	trip, login := 2500*time.Millisecond, 20*time.Second
	if *full {
		trip, login = 250*time.Millisecond, 2*time.Second
	}
	err := errors.Join(r.Errors...)
	if r.Messages < 1 || r.Logins < 1 {
		err = errors.Join(err, errors.New("nothing was tried"))
	}
	if r.P99 > trip || r.LoginP99 > login {
		err = errors.Join(err, fmt.Errorf("round trip over %v or login over %v", trip, login))
	}
	if err != nil {
		return fmt.Errorf("%v: %w", r, err)
	}
	return nil
}

// canaryEnv makes this test binary a canary and nothing else: ten thousand
// connections of the attack in its own process would be what it measures.
const canaryEnv = "PARLANCE_ATTACK_CANARY"

// cage says who a canary in a process of its own is.
type cage struct {
	Addr  string
	Users [3]string
	From  [3]string
}

// told is its report; errors do not marshal.
type told struct {
	Report
	Errors []string
}

// sing is the canary's process: it says "ready", stops when its input ends, and reports.
func sing(text string) int {
	var c cage
	err := json.Unmarshal([]byte(text), &c)
	var o [3]client.Options
	for i := range o {
		o[i] = client.Options{Addr: c.Addr, Domain: server.Domain, User: c.Users[i], Pass: server.Password, Resource: "canary", Source: c.From[i]}
	}
	var b *Canary
	if err == nil {
		b, err = StartCanary(context.Background(), o[0], o[1], o[2], time.Second) // HARDENING §0: 1 message a second
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	r := told{Report: b.Stop()}
	for _, e := range r.Report.Errors {
		r.Errors = append(r.Errors, e.Error())
	}
	r.Report.Errors = nil
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// caged starts a canary in a process of its own.
func (p *place) caged(t *testing.T) (stop func() Report) {
	t.Helper()
	who, err := p.birds()
	if err != nil {
		t.Fatal(err)
	}
	c := cage{Addr: p.C2S}
	for i, o := range who {
		c.Users[i], c.From[i] = o.User, o.Source
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), canaryEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || strings.TrimSpace(line) != "ready" {
		t.Fatalf("the canary says %q, %v", line, err)
	}
	return sync.OnceValue(func() Report {
		_ = in.Close()
		var r told
		err := json.NewDecoder(lines).Decode(&r)
		for _, e := range r.Errors {
			r.Report.Errors = append(r.Report.Errors, errors.New(e))
		}
		if err = errors.Join(err, cmd.Wait()); err != nil {
			r.Report.Errors = append(r.Report.Errors, err)
		}
		return r.Report
	})
}
