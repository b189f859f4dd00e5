package tagtrust

// #include "glue.h"
import "C"

import (
	"crypto"
	"fmt"
	"time"
)

// Options of a client. What is not set is as Docker has it.
type Options struct {
	// TrustDir is the directory with the cached metadata and the private keys.
	// Default: trust in Docker's directory. If it cannot be written, a repository of
	// which it holds nothing yet is ErrStoreError: what is seen first could not be
	// remembered.
	TrustDir string
	// DockerConfig is Docker's directory, with config.json, tls/ and trust/.
	// Default: $DOCKER_CONFIG, else ~/.docker.
	DockerConfig string

	// Server is the URL of the trust server. Default: $DOCKER_CONTENT_TRUST_SERVER,
	// else https://notary.docker.io for Docker Hub and the registry itself for others.
	Server string
	// CAFile is a PEM file with the only CAs that may vouch for the server.
	// Default: the system's and those in Docker's tls/ directory.
	CAFile string
	// ClientCert and ClientKey are PEM files with what the client shows to the server.
	ClientCert, ClientKey string
	// Username and Password. Default: Docker's config.json and its helpers.
	Username, Password string
	// DangerPlainHTTP allows http:// to other machines. Whoever is on the way reads
	// the credentials and can hold back new trust data.
	DangerPlainHTTP bool

	// Timeout bounds the requests of one verification or inspection of one
	// repository; when publishing, each exchange with the server has it anew (several
	// tries, at most 64, if others publish). Waiting for another process's lock on the
	// trust directory, and for callbacks, is not counted. Default: 60 seconds.
	Timeout time.Duration
	// OfflineMaxAge is how long an answer of the server is taken for the current
	// one, so that no request is made. Default: ask every time.
	OfflineMaxAge time.Duration
	// RequireFresh refuses to answer if the server cannot be asked. Default: the
	// cached timestamp serves until it expires, and Image.Fresh is false.
	// OfflineMaxAge comes before it, and its answers count as fresh.
	RequireFresh bool
	// Parallelism is how many repositories VerifyMany asks for at a time. Default: 8.
	Parallelism int

	// Pinning says which roots may be trusted. Default: as Docker, trust on first use.
	Pinning *Pinning
	// Policy says which signatures count, and which more are wanted. Default: Docker's rule.
	Policy *Policy
	// Clock says what time it is. Default: time.Now.
	Clock func() time.Time

	// Passphrase is asked for the passphrases of private keys. Default:
	// $DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE for root keys and
	// $DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE for all others.
	Passphrase func(PassphraseRequest) (string, error)
	// Signers are private keys that are elsewhere, such as in an HSM or a cloud's
	// KMS: ECDSA with SHA-256, or RSA with PSS. They come before keys with the same ID on
	// disk.
	Signers []crypto.Signer
	// Expiry is how long new files of a role last: of "root", "targets",
	// "snapshot", one delegation, or with "delegations" all others of these.
	// Default: 3650 days for the root, 1095 for others, as in Notary.
	Expiry map[string]time.Duration
	// LocalSnapshot makes the snapshot keys of new repositories here, as notary
	// does. Default: the server has them, as in Docker.
	LocalSnapshot bool
}

// PassphraseRequest asks for the passphrase of a key.
type PassphraseRequest struct {
	// KeyID is the key's ID, or for a file whose key is not known yet its name.
	KeyID string
	// Role is what the key is for, such as "root".
	Role string
	// Create asks for the passphrase of a new key, of at least 8 bytes.
	Create bool
	// Attempt counts from 0, and goes up when the last answer was too short or
	// wrong; the same wrong answer twice ends it.
	Attempt int
}

// Pinning says which roots may be trusted. For a repository the first rule that
// applies decides:
//
//  1. Certificates under its exact name (docker.io/library/alpine),
//  2. Certificates under the longest name with a final * that fits,
//  3. CA under the longest prefix of its name,
//  4. trust on first use, if allowed.
//
// Where no rule applies, nothing is trusted.
type Pinning struct {
	// Certificates are the IDs of the root keys that are admitted, by repository name:
	// one at least for each name.
	Certificates map[string][]string
	// CA are PEM files with the CA certificates that root certificates must chain
	// to, by prefix.
	CA map[string]string
	// TrustOnFirstUse trusts the root that the server shows first, and then its
	// successors: whoever answers first can choose the keys. This is what Docker does.
	TrustOnFirstUse bool
}

// Lookup says where a tag is looked for.
type Lookup int

const (
	// LookupDocker is as docker pull: targets/releases, then targets, and no other
	// delegation.
	LookupDocker Lookup = C.TAGTRUST_LOOKUP_DOCKER
	// LookupNotary is as notary lookup: targets, then all delegations.
	LookupNotary Lookup = C.TAGTRUST_LOOKUP_NOTARY
)

// Policy says which signatures count, and which more are wanted. All rules that
// fit a repository hold.
type Policy struct {
	Lookup Lookup
	Rules  []Rule
}

// Rule is about signers that must have signed the same digest for a tag. A signer
// "alice" is the delegation targets/alice, as docker trust makes it.
type Rule struct {
	// Repository is the full name of a repository (docker.io/library/alpine), or
	// the start of one and *.
	Repository string
	// AllOf must all have signed.
	AllOf []string
	// AnyOf are those of whom Threshold must have signed: one if it is zero.
	AnyOf     []string
	Threshold int
}

// settings collects what may be wrong with options while they become a configuration.
type settings struct {
	arguments
	config *C.tagtrust_config
	err    error
}

func (o *Options) configure(callbacks *callbacks) (*settings, error) {
	s := &settings{config: C.tagtrust_config_new()}
	s.locate(o)
	s.ask(o)
	s.pin(o.Pinning)
	s.demand(o.Policy)
	s.setClock(callbacks)
	s.prepareSigning(o, callbacks)
	if s.err != nil {
		s.close()
		return nil, s.err
	}
	return s, nil
}

func (s *settings) close() {
	C.tagtrust_config_free(s.config)
	s.free()
}

// check remembers the first thing that went wrong.
func (s *settings) check(name string, status cStatus) {
	if status != C.TAGTRUST_OK && s.err == nil {
		s.err = &Error{Status: Status(status), Message: fmt.Sprintf("invalid argument: %s cannot be used", name)}
	}
}

// checkError does so for functions that say more.
func (s *settings) checkError(status cStatus, object cError) {
	if err := failed(status, object); err != nil && s.err == nil {
		s.err = err
	}
}

func (s *settings) duration(name string, duration, unit time.Duration) C.uint64_t {
	units, err := whole(duration, unit)
	if err != nil && s.err == nil {
		s.err = &Error{Status: ErrInvalidConfiguration, Message: fmt.Sprintf("%s: %v", name, err)}
	}
	return units
}

func (s *settings) count(name string, count int) C.size_t {
	if count < 0 && s.err == nil {
		s.err = &Error{Status: ErrInvalidConfiguration, Message: fmt.Sprintf("%s is negative", name)}
	}
	return C.size_t(count)
}

func (s *settings) locate(o *Options) {
	if o.TrustDir != "" {
		s.check("TrustDir", C.tagtrust_config_set_trust_dir(s.config, s.text(o.TrustDir)))
	}
	if o.DockerConfig != "" {
		s.check("DockerConfig", C.tagtrust_config_set_docker_config(s.config, s.text(o.DockerConfig)))
	}
	if o.Server != "" {
		s.check("Server", C.tagtrust_config_set_server(s.config, s.text(o.Server)))
	}
	if o.CAFile != "" {
		s.check("CAFile", C.tagtrust_config_set_ca_file(s.config, s.text(o.CAFile)))
	}
	if o.ClientCert != "" || o.ClientKey != "" {
		s.check("ClientCert or ClientKey",
			C.tagtrust_config_set_client_cert(s.config, s.text(o.ClientCert), s.text(o.ClientKey)))
	}
	if o.Username != "" || o.Password != "" {
		s.check("Username or Password",
			C.tagtrust_config_set_credentials(s.config, s.text(o.Username), s.text(o.Password)))
	}
	s.check("DangerPlainHTTP", C.tagtrust_config_set_danger_plain_http(s.config, C.bool(o.DangerPlainHTTP)))
}

func (s *settings) ask(o *Options) {
	if o.Timeout != 0 {
		s.check("Timeout", C.tagtrust_config_set_timeout_ms(s.config, s.duration("Timeout", o.Timeout, time.Millisecond)))
	}
	s.check("OfflineMaxAge", C.tagtrust_config_set_offline_max_age_ms(s.config,
		s.duration("OfflineMaxAge", o.OfflineMaxAge, time.Millisecond)))
	s.check("RequireFresh", C.tagtrust_config_set_require_fresh(s.config, C.bool(o.RequireFresh)))
	if o.Parallelism != 0 {
		s.check("Parallelism", C.tagtrust_config_set_parallelism(s.config, s.count("Parallelism", o.Parallelism)))
	}
}

func (s *settings) pin(pinning *Pinning) {
	if pinning == nil {
		return
	}
	for name, keyIDs := range pinning.Certificates {
		if len(keyIDs) == 0 {
			// The library would not know of it, and take the next rule.
			s.check("a name in Pinning.Certificates without key IDs", C.TAGTRUST_INVALID_CONFIGURATION)
		}
		for _, keyID := range keyIDs {
			s.check("Pinning.Certificates", C.tagtrust_config_pin_certificate(s.config, s.text(name), s.text(keyID)))
		}
	}
	for prefix, file := range pinning.CA {
		var failure cError
		s.checkError(C.tagtrust_config_pin_ca(s.config, s.text(prefix), s.text(file), &failure), failure)
	}
	s.check("Pinning.TrustOnFirstUse",
		C.tagtrust_config_set_trust_on_first_use(s.config, C.bool(pinning.TrustOnFirstUse)))
}

func (s *settings) demand(policy *Policy) {
	if policy == nil {
		return
	}
	s.check("Policy.Lookup", C.tagtrust_config_set_lookup(s.config, C.int(policy.Lookup)))
	for _, rule := range policy.Rules {
		if len(rule.AllOf) == 0 && len(rule.AnyOf) == 0 {
			s.check("a Rule without signers", C.TAGTRUST_INVALID_CONFIGURATION)
		}
		for _, signer := range rule.AllOf {
			s.check("Rule.AllOf", C.tagtrust_config_require_signer(s.config, s.text(rule.Repository), s.text(signer)))
		}
		if len(rule.AnyOf) == 0 && rule.Threshold == 0 {
			continue
		}
		threshold := rule.Threshold
		if threshold == 0 {
			threshold = 1
		}
		signers, count := s.array(rule.AnyOf)
		s.check("Rule.AnyOf", C.tagtrust_config_require_threshold(s.config, s.text(rule.Repository), signers, count,
			s.count("Rule.Threshold", threshold)))
	}
}

func (s *settings) setClock(callbacks *callbacks) {
	if callbacks.clock != nil {
		s.check("Clock", C.go_config_set_clock(s.config, C.uintptr_t(callbacks.handle)))
	}
}
