// Clients and servers of crypto/tls for the interop tests.
//
// `hello say` prints what each client says first: its name and the bytes, one line per client.
// `hello parse` reads such bytes, one line each, and prints what the server of Go sees in them, or why it sees nothing; names
// are in hexadecimal.
// `hello call MESH A B` serves a.example at A and b.example at B, calls both at MESH, and prints how each client got on.
package main

import (
	"bufio"
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"time"
)

// How one client differs from the others.
type client struct {
	Name   string
	config *tls.Config
	// Bytes of each record of what it says first; 0 leaves it whole.
	recordBytes int
	// Bytes of each write; 0 for all at once.
	writeBytes int
	usesEch    bool
}

func clients() []client {
	only := func(version uint16) *tls.Config {
		return &tls.Config{ServerName: "a.example", MinVersion: version, MaxVersion: version}
	}
	to := func(name string) *tls.Config { return &tls.Config{ServerName: name} }
	protocols := to("b.example")
	protocols.NextProtos = []string{"h2", "http/1.1"}
	plain := to("a.example")
	plain.CurvePreferences = []tls.CurveID{tls.X25519}
	retried := to("retried.b.example")
	cached := to("a.example")
	cached.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	return []client{
		{Name: "as it is", config: to("a.example")},
		{Name: "TLS 1.0", config: only(tls.VersionTLS10)},
		{Name: "TLS 1.1", config: only(tls.VersionTLS11)},
		{Name: "TLS 1.2", config: only(tls.VersionTLS12)},
		{Name: "TLS 1.3", config: only(tls.VersionTLS13)},
		{Name: "without post-quantum keys", config: plain},
		{Name: "with protocols", config: protocols},
		{Name: "in capitals", config: to("B.Example")},
		{Name: "to an address", config: to("127.0.0.1")},
		{Name: "one byte in each record", config: to("b.example"), recordBytes: 1},
		{Name: "100 bytes in each record", config: to("a.example"), recordBytes: 100},
		{Name: "one byte in each write", config: to("a.example"), writeBytes: 1},
		{Name: "seven bytes in each write, in records of three", config: to("b.example"), recordBytes: 3, writeBytes: 7},
		{Name: "asked for another key", config: retried},
		{Name: "first of a session", config: cached},
		{Name: "second of a session", config: cached},
		{Name: "with an encrypted hello", config: to("inner.example"), usesEch: true},
	}
}

// A connection whose first flight, which is one write, is cut.
type cutting struct {
	net.Conn
	recordBytes, writeBytes int
	isLater                 bool
}

func (c *cutting) Write(data []byte) (int, error) {
	if c.isLater {
		return c.Conn.Write(data)
	}
	c.isLater = true
	all := inRecords(data, c.recordBytes)
	step := c.writeBytes
	if step == 0 {
		step = len(all)
	}
	for at := 0; at < len(all); at += step {
		if _, err := c.Conn.Write(all[at:min(at+step, len(all))]); err != nil {
			return 0, err
		}
	}
	return len(data), nil
}

func inRecords(record []byte, size int) []byte {
	if size == 0 {
		return record
	}
	var all []byte
	for content := record[5:]; len(content) > 0; {
		part := content[:min(size, len(content))]
		content = content[len(part):]
		all = append(all, record[0], record[1], record[2], byte(len(part)>>8), byte(len(part)))
		all = append(all, part...)
	}
	return all
}

// A connection of which only one direction is there.
type half struct {
	in  io.Reader
	out io.Writer
}

func (h half) Read(data []byte) (int, error)  { return h.in.Read(data) }
func (h half) Write(data []byte) (int, error) { return h.out.Write(data) }
func (half) Close() error                     { return nil }
func (half) LocalAddr() net.Addr              { return nil }
func (half) RemoteAddr() net.Addr             { return nil }
func (half) SetDeadline(time.Time) error      { return nil }
func (half) SetReadDeadline(time.Time) error  { return nil }
func (half) SetWriteDeadline(time.Time) error { return nil }

func say() {
	_, list := newEch()
	for _, each := range clients() {
		each.config.InsecureSkipVerify = true
		if each.usesEch {
			each.config.EncryptedClientHelloConfigList = list
		}
		var said bytes.Buffer
		conn := &cutting{Conn: half{bytes.NewReader(nil), &said}, recordBytes: each.recordBytes}
		// Nobody answers.
		_ = tls.Client(conn, each.config).Handshake()
		print(map[string]any{"name": each.Name, "hello": hex.EncodeToString(said.Bytes())})
	}
}

var errSeen = errors.New("seen")

func parse() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, err := hex.DecodeString(lines.Text())
		if err != nil {
			log.Fatal(err)
		}
		var seen map[string]any
		config := &tls.Config{
			MinVersion: tls.VersionTLS10,
			GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				protocols := make([]string, len(hello.SupportedProtos))
				for i, each := range hello.SupportedProtos {
					protocols[i] = hex.EncodeToString([]byte(each))
				}
				seen = map[string]any{"serverName": hex.EncodeToString([]byte(hello.ServerName)), "protocols": protocols}
				return nil, errSeen
			},
		}
		err = tls.Server(half{bytes.NewReader(data), io.Discard}, config).Handshake()
		if seen == nil {
			seen = map[string]any{"error": fmt.Sprint(err)}
		}
		print(seen)
	}
}

// A key for encrypted hellos with the outer name b.example, and what clients are told of it.
func newEch() (tls.EncryptedClientHelloKey, []byte) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	public := key.PublicKey().Bytes()
	name := "b.example"
	content := []byte{1, 0, 0x20, 0, byte(len(public))}
	content = append(content, public...)
	// One suite: HKDF-SHA256 with AES-128-GCM; then the longest name, the outer name, and no extensions.
	content = append(content, 0, 4, 0, 1, 0, 1, 32, byte(len(name)))
	content = append(content, name...)
	content = append(content, 0, 0)
	config := append([]byte{0xfe, 0x0d, 0, byte(len(content))}, content...)
	list := append([]byte{0, byte(len(config))}, config...)
	return tls.EncryptedClientHelloKey{Config: config, PrivateKey: key.Bytes()}, list
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	return key
}

// Without names: the authority itself.
func (by *authority) issue(names ...string) tls.Certificate {
	key := newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     names,
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := template, key
	if by.certificate == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
	} else {
		parent, signer = by.certificate, by.key
	}
	made, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		log.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(made)
	if err != nil {
		log.Fatal(err)
	}
	if by.certificate == nil {
		by.certificate, by.key = leaf, key
	}
	return tls.Certificate{Certificate: [][]byte{made}, PrivateKey: key, Leaf: leaf}
}

func listen(address string, config *tls.Config) net.Listener {
	listener, err := tls.Listen("tcp", address, config)
	if err != nil {
		log.Fatal(err)
	}
	return listener
}

// Each connection is told the name of the server.
func serve(listener net.Listener, name string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer conn.Close()
			if err := conn.(*tls.Conn).Handshake(); err != nil {
				return
			}
			io.WriteString(conn, name)
		}()
	}
}

func call(mesh, a, b string) {
	by := &authority{}
	by.issue()
	roots := x509.NewCertPool()
	roots.AddCert(by.certificate)
	key, list := newEch()
	ofA := &tls.Config{MinVersion: tls.VersionTLS10, Certificates: []tls.Certificate{by.issue("a.example")}}
	ofB := &tls.Config{
		Certificates:             []tls.Certificate{by.issue("b.example", "retried.b.example", "inner.example")},
		NextProtos:               []string{"h2", "http/1.1"},
		EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{key},
	}
	ofB.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName != "retried.b.example" {
			return nil, nil
		}
		// No client has sent a key for it.
		retried := ofB.Clone()
		retried.CurvePreferences = []tls.CurveID{tls.CurveP521}
		return retried, nil
	}
	go serve(listen(a, ofA), "a")
	go serve(listen(b, ofB), "b")
	for _, each := range clients() {
		each.config.RootCAs = roots
		if each.usesEch {
			each.config.EncryptedClientHelloConfigList = list
		}
		print(each.callTo(mesh))
	}
}

func (c client) callTo(mesh string) map[string]any {
	told := map[string]any{"name": c.Name}
	raw, err := net.Dial("tcp", mesh)
	if err != nil {
		log.Fatal(err)
	}
	defer raw.Close()
	conn := tls.Client(&cutting{Conn: raw, recordBytes: c.recordBytes, writeBytes: c.writeBytes}, c.config)
	got, err := io.ReadAll(conn)
	if err != nil {
		told["error"] = err.Error()
		return told
	}
	state := conn.ConnectionState()
	told["server"] = string(got)
	told["version"] = tls.VersionName(state.Version)
	told["protocol"] = state.NegotiatedProtocol
	told["key"] = state.CurveID.String()
	told["resumed"] = state.DidResume
	told["encrypted"] = state.ECHAccepted
	return told
}

func print(told map[string]any) {
	line, err := json.Marshal(told)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
}

func main() {
	switch os.Args[1] {
	case "say":
		say()
	case "parse":
		parse()
	case "call":
		call(os.Args[2], os.Args[3], os.Args[4])
	}
}
