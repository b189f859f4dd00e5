//go:build !tagtrust_noserver && !tagtrust_nosigning

package tagtrust

// #include "glue.h"
import "C"

import (
	"io"
	"runtime"
	"time"
)

// Server is a running trust server in this process. Any number can run at once.
type Server struct {
	object         *object
	pointer        *C.tagtrust_server
	url            string
	certificatePEM []byte
}

var _ io.Closer = (*Server)(nil)

// ServerOptions are settings of a server.
type ServerOptions struct {
	// Listen is where, such as "127.0.0.1:4443", or ":4443" for all addresses of
	// the machine. Port 0 takes a free one. Default: "127.0.0.1:0".
	Listen string
	// Storage is where repositories and keys are kept: "memory", "sqlite:FILE",
	// which is made if it is not there, or
	// "postgres://USER:PASSWORD@HOST/DATABASE", which any number of servers share.
	// Default: "memory".
	Storage string
	// SelfSignedTLS is TLS with a certificate that the server makes for itself, new
	// with each start: see Server.CertificatePEM.
	SelfSignedTLS bool
	// TLS is TLS with files, read again by Server.Reload. Default: plain HTTP.
	TLS *ServerTLS
	// Passphrases protect the server's own keys where they are kept. The first one
	// is for new keys; others are for those that are under them. Default: the server
	// makes one, in memory, or for SQLite in "FILE.passphrase". PostgreSQL needs one.
	Passphrases []NamedPassphrase
	// TokenAuth is Docker's token scheme. Default: everybody may do everything.
	TokenAuth *TokenAuth
	// PasswordFile has users and their passwords.
	PasswordFile *PasswordFile
	// GUNPrefixes are those of the repositories that are served; each ends in "/".
	// Default: all.
	GUNPrefixes []string
	// ReadOnly stores nothing, only serves.
	ReadOnly bool
	// KeepVersions is how many versions of each role to keep besides those in use.
	// Default: all.
	KeepVersions int
	// SnapshotLifetime and TimestampLifetime are how long what the server signs is
	// valid: both or neither. Default: 1095 and 14 days, as in Notary.
	SnapshotLifetime, TimestampLifetime time.Duration
	// WithoutUI leaves out the page "/ui/".
	WithoutUI bool
	// AccessLog is a file to which a line of JSON is appended for each request.
	// Default: none.
	AccessLog string
}

// ServerTLS are PEM files.
type ServerTLS struct {
	Certificate, Key string
	// ClientCA may be empty; else clients need a certificate under one in there.
	ClientCA string
}

// NamedPassphrase has a name, such as "default".
type NamedPassphrase struct {
	Name, Passphrase string
}

// TokenAuth is Docker's token scheme: a server takes the tokens that another server issues.
type TokenAuth struct {
	// Realm is the URL of the token server.
	Realm string
	// Service is the name of this service in the tokens.
	Service string
	// Issuer of the tokens.
	Issuer string
	// RootCertificates is a PEM file with the certificates under which tokens are signed.
	RootCertificates string
}

// PasswordFile has users and their passwords, as htpasswd -B writes them; all of
// them may do everything.
type PasswordFile struct {
	Path string
	// AnonymousPull lets anyone read.
	AnonymousPull bool
}

// StartServer starts a server, which answers when this returns. Without options it
// keeps all in memory, on a free port of 127.0.0.1, over plain HTTP.
func StartServer(options ServerOptions) (*Server, error) {
	s := serverSettings{config: C.tagtrust_server_config_new()}
	defer func() { C.tagtrust_server_config_free(s.config) }()
	defer s.free()
	s.configure(&options)
	if s.err != nil {
		return nil, s.err
	}
	return startServer(s.config)
}

// StartServerFromFile starts a server with a configuration file of notary-server,
// and its environment variables NOTARY_SERVER_….
func StartServerFromFile(path string) (*Server, error) {
	var a arguments
	defer a.free()
	var config *C.tagtrust_server_config
	var failure cError
	status := C.tagtrust_server_config_from_file(a.text(path), &config, &failure)
	if err := failed(status, failure); err != nil {
		return nil, err
	}
	defer C.tagtrust_server_config_free(config)
	return startServer(config)
}

func startServer(config *C.tagtrust_server_config) (*Server, error) {
	var pointer *C.tagtrust_server
	var failure cError
	if err := failed(C.tagtrust_server_start(config, &pointer, &failure), failure); err != nil {
		return nil, err
	}
	server := &Server{
		object:  newObject(func() { C.tagtrust_server_free(pointer) }),
		pointer: pointer,
		url:     C.GoString(C.tagtrust_server_url(pointer)),
	}
	if certificate := C.tagtrust_server_certificate_pem(pointer); certificate != nil {
		server.certificatePEM = []byte(C.GoString(certificate))
	}
	// Not in the finalizers' goroutine: stopping takes its time.
	runtime.SetFinalizer(server, func(server *Server) { go server.Close() })
	return server, nil
}

// Close lets requests that have begun end, for a few seconds at most, and stops.
func (s *Server) Close() error {
	runtime.SetFinalizer(s, nil)
	s.object.close()
	return nil
}

// URL is where it answers, such as "http://127.0.0.1:34567": for Options.Server.
func (s *Server) URL() string { return s.url }

// CertificatePEM is the certificate that it made for itself: written to a file, it
// is what Options.CAFile takes. Nil if it made none.
func (s *Server) CertificatePEM() []byte { return append([]byte(nil), s.certificatePEM...) }

// Reload reads TLS files and users again, and opens the access log anew. If a file
// cannot be used, what was read before still holds.
func (s *Server) Reload() error {
	defer runtime.KeepAlive(s)
	if err := s.object.use(); err != nil {
		return err
	}
	defer s.object.done()
	var failure cError
	return failed(C.tagtrust_server_reload(s.pointer, &failure), failure)
}

// serverSettings is to a server what settings are to a client.
type serverSettings struct {
	settings
	config *C.tagtrust_server_config
}

func (s *serverSettings) configure(o *ServerOptions) {
	if o.Listen != "" {
		s.check("Listen", C.tagtrust_server_config_set_listen(s.config, s.text(o.Listen)))
	}
	if o.Storage != "" {
		s.check("Storage", C.tagtrust_server_config_set_storage(s.config, s.text(o.Storage)))
	}
	s.secure(o)
	s.admit(o)
	for _, prefix := range o.GUNPrefixes {
		s.check("GUNPrefixes", C.tagtrust_server_config_add_gun_prefix(s.config, s.text(prefix)))
	}
	s.check("ReadOnly", C.tagtrust_server_config_set_read_only(s.config, C.bool(o.ReadOnly)))
	if o.KeepVersions != 0 {
		s.check("KeepVersions",
			C.tagtrust_server_config_set_keep_versions(s.config, s.count("KeepVersions", o.KeepVersions)))
	}
	if o.SnapshotLifetime != 0 || o.TimestampLifetime != 0 {
		s.check("SnapshotLifetime or TimestampLifetime", C.tagtrust_server_config_set_lifetimes(s.config,
			s.duration("SnapshotLifetime", o.SnapshotLifetime, time.Second),
			s.duration("TimestampLifetime", o.TimestampLifetime, time.Second)))
	}
	s.check("WithoutUI", C.tagtrust_server_config_set_ui(s.config, C.bool(!o.WithoutUI)))
	if o.AccessLog != "" {
		s.check("AccessLog", C.tagtrust_server_config_set_access_log(s.config, s.text(o.AccessLog)))
	}
}

func (s *serverSettings) secure(o *ServerOptions) {
	if o.SelfSignedTLS && o.TLS != nil {
		s.check("SelfSignedTLS beside TLS", C.TAGTRUST_INVALID_CONFIGURATION)
	}
	if o.SelfSignedTLS {
		s.check("SelfSignedTLS", C.tagtrust_server_config_set_tls_self_signed(s.config))
	}
	if o.TLS != nil {
		s.check("TLS", C.tagtrust_server_config_set_tls(
			s.config, s.text(o.TLS.Certificate), s.text(o.TLS.Key), s.optional(o.TLS.ClientCA)))
	}
	for _, named := range o.Passphrases {
		s.check("Passphrases",
			C.tagtrust_server_config_add_passphrase(s.config, s.text(named.Name), s.text(named.Passphrase)))
	}
}

func (s *serverSettings) admit(o *ServerOptions) {
	if o.TokenAuth != nil && o.PasswordFile != nil {
		s.check("TokenAuth beside PasswordFile", C.TAGTRUST_INVALID_CONFIGURATION)
	}
	if auth := o.TokenAuth; auth != nil {
		s.check("TokenAuth", C.tagtrust_server_config_set_token_auth(
			s.config, s.text(auth.Realm), s.text(auth.Service), s.text(auth.Issuer), s.text(auth.RootCertificates)))
	}
	if file := o.PasswordFile; file != nil {
		s.check("PasswordFile", C.tagtrust_server_config_set_password_file(
			s.config, s.text(file.Path), C.bool(file.AnonymousPull)))
	}
}
