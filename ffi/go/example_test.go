//go:build !tagtrust_noserver && !tagtrust_nosigning

package tagtrust_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	tagtrust "github.com/tagtrust/tagtrust/ffi/go"
)

// signed gives a client of a server of its own, on which registry.example/team/app:1.2
// is signed, and its trust directory.
func signed() (client *tagtrust.Client, directory string, stop func()) {
	server, err := tagtrust.StartServer(tagtrust.ServerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	directory, err = os.MkdirTemp("", "tagtrust-example-")
	if err != nil {
		log.Fatal(err)
	}
	client, err = tagtrust.NewClient(tagtrust.Options{Server: server.URL(), TrustDir: directory})
	if err != nil {
		log.Fatal(err)
	}
	target := &tagtrust.Target{
		Digest: "sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865",
		Size:   1570,
	}
	if _, err := client.Sign(context.Background(), "registry.example/team/app:1.2", target); err != nil {
		log.Fatal(err)
	}
	return client, directory, func() {
		client.Close()
		server.Close()
		os.RemoveAll(directory)
	}
}

func ExampleClient_Verify() {
	client, _, stop := signed()
	defer stop()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, reference := range []string{"registry.example/team/app:1.2", "registry.example/team/app:unsigned"} {
		image, err := client.Verify(ctx, reference)
		switch {
		case err == nil:
			fmt.Println("pull", image.PinnedReference)
		case errors.Is(err, tagtrust.ErrTagNotSigned):
			fmt.Println("nobody signed", reference)
		default:
			fmt.Println("do not use", reference, "because", err)
		}
	}
	// Output:
	// pull registry.example/team/app@sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865
	// nobody signed registry.example/team/app:unsigned
}

func ExampleError() {
	client, _, stop := signed()
	defer stop()

	_, err := client.Verify(context.Background(), "registry.example/team/other:1.2")
	var why *tagtrust.Error
	if errors.As(err, &why) {
		fmt.Println(why.Name(), why.IsRefusal())
	}
	// Output: NoTrustData true
}

func ExampleClient_VerifyMany() {
	client, _, stop := signed()
	defer stop()

	references := []string{"registry.example/team/app:1.2", "registry.example/team/app:unsigned"}
	answers, err := client.VerifyMany(context.Background(), references)
	for index, answer := range answers {
		fmt.Println(references[index], answer.Err == nil)
	}
	fmt.Println("all:", err == nil)
	// Output:
	// registry.example/team/app:1.2 true
	// registry.example/team/app:unsigned false
	// all: false
}

func ExampleClient_Edit() {
	client, _, stop := signed()
	defer stop()

	edit := client.Edit("registry.example/team/app").
		Sign("1.3", &tagtrust.Target{Digest: "sha256:" + strings.Repeat("0", 64), Size: 1570}).
		Revoke("1.2")
	planned, err := edit.DryRun(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, change := range planned.Changes {
		fmt.Println(change.Action, change.Path)
	}
	publication, err := edit.Publish(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("published:", publication.Published)
	// Output:
	// create 1.3
	// delete 1.2
	// published: true
}

func ExampleClient_AddSigner() {
	client, _, stop := signed()
	defer stop()
	ctx := context.Background()
	directory, err := os.MkdirTemp("", "tagtrust-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(directory)

	// Alice keeps the private half, and hands alice.pub to the owner.
	key, err := client.GenerateKey(ctx, "alice", directory)
	if err != nil {
		log.Fatal(err)
	}
	public, err := os.ReadFile(key.PublicKeyFile)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.AddSigner(ctx, "alice", public, "registry.example/team/app"); err != nil {
		log.Fatal(err)
	}
	target := &tagtrust.Target{Digest: "sha256:" + strings.Repeat("0", 64), Size: 1570}
	if _, err := client.Sign(ctx, "registry.example/team/app:1.3", target); err != nil {
		log.Fatal(err)
	}
	image, err := client.Verify(ctx, "registry.example/team/app:1.3")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(image.Signers, image.Role)
	// Output: [alice] targets/releases
}

func ExampleOptions() {
	client, err := tagtrust.NewClient(tagtrust.Options{
		Timeout: 10 * time.Second,
		// The root key of one repository is known; no other repository is trusted.
		Pinning: &tagtrust.Pinning{
			Certificates: map[string][]string{"docker.io/library/alpine": {strings.Repeat("a2", 32)}},
		},
		// What the team publishes needs two of three.
		Policy: &tagtrust.Policy{Rules: []tagtrust.Rule{
			{Repository: "registry.example/team/*", AnyOf: []string{"alice", "bob", "carol"}, Threshold: 2},
		}},
		Passphrase: func(request tagtrust.PassphraseRequest) (string, error) {
			if request.Attempt > 0 {
				return "", errors.New("the agent's passphrase does not fit")
			}
			return "from an agent", nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	// Output:
}

func ExampleStartServer() {
	server, err := tagtrust.StartServer(tagtrust.ServerOptions{SelfSignedTLS: true})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	directory, err := os.MkdirTemp("", "tagtrust-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(directory)

	authority := filepath.Join(directory, "ca.pem")
	if err := os.WriteFile(authority, server.CertificatePEM(), 0o600); err != nil {
		log.Fatal(err)
	}
	client, err := tagtrust.NewClient(tagtrust.Options{Server: server.URL(), CAFile: authority, TrustDir: directory})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	_, err = client.Verify(context.Background(), "registry.example/team/app:1.2")
	fmt.Println(errors.Is(err, tagtrust.ErrNoTrustData))
	// Output: true
}

func ExamplePin() {
	client, _, stop := signed()
	defer stop()

	pinned, err := tagtrust.Pin(context.Background(), client, "registry.example/team/app:1.2")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(pinned)
	// Output: registry.example/team/app@sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865
}

// A runtime that resolved a name to a digest, such as containerd in VerifyImage of
// its image verifiers, asks whether that is what was signed for the name.
func ExampleVerifier_runtime() {
	client, _, stop := signed()
	defer stop()
	var verifier tagtrust.Verifier = client

	type Judgement struct {
		OK     bool
		Reason string
	}
	verifyImage := func(ctx context.Context, name, resolved string) (*Judgement, error) {
		tagged, _, _ := strings.Cut(name, "@")
		_, err := verifier.Verify(ctx, tagged+"@"+resolved)
		var why *tagtrust.Error
		switch {
		case err == nil:
			return &Judgement{OK: true, Reason: "signed"}, nil
		case errors.As(err, &why) && why.IsRefusal():
			return &Judgement{Reason: why.Name()}, nil
		default:
			return nil, err
		}
	}
	for _, resolved := range []string{
		"sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865",
		"sha256:" + strings.Repeat("0", 64),
	} {
		judgement, err := verifyImage(context.Background(), "registry.example/team/app:1.2", resolved)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(judgement.OK, judgement.Reason)
	}
	// Output:
	// true signed
	// false DigestMismatch
}

// A Kubernetes admission webhook pins the images of a pod to what was signed, or
// refuses the pod.
func ExampleVerifier_admission() {
	client, _, stop := signed()
	defer stop()
	var verifier tagtrust.Verifier = client

	type container struct{ Name, Image string }
	type review struct {
		Request struct {
			UID    string
			Object struct {
				Spec struct{ Containers, InitContainers, EphemeralContainers []container }
			}
		}
	}
	webhook := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked review
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer := map[string]any{"uid": asked.Request.UID, "allowed": true}
		patch := []map[string]string{}
		spec := asked.Request.Object.Spec
		for field, containers := range map[string][]container{
			"containers": spec.Containers, "initContainers": spec.InitContainers, "ephemeralContainers": spec.EphemeralContainers,
		} {
			for index, container := range containers {
				// Ends with the API server's own deadline.
				pinned, err := tagtrust.Pin(r.Context(), verifier, container.Image)
				if err != nil {
					answer["allowed"] = false
					answer["status"] = map[string]string{"message": fmt.Sprintf("%s: %v", container.Image, err)}
					continue
				}
				path := fmt.Sprintf("/spec/%s/%d/image", field, index)
				patch = append(patch, map[string]string{"op": "replace", "path": path, "value": pinned})
			}
		}
		if answer["allowed"] == true {
			answer["patchType"] = "JSONPatch"
			// The API wants it in base64, which is how []byte becomes JSON.
			answer["patch"], _ = json.Marshal(patch)
		}
		json.NewEncoder(w).Encode(map[string]any{
			"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer,
		})
	})

	server := httptest.NewServer(webhook)
	defer server.Close()
	for _, image := range []string{"registry.example/team/app:1.2", "registry.example/team/app:unsigned"} {
		pod := fmt.Sprintf(`{"request":{"uid":"1","object":{"spec":{"containers":[{"name":"app","image":%q}]}}}}`, image)
		answer, err := http.Post(server.URL, "application/json", strings.NewReader(pod))
		if err != nil {
			log.Fatal(err)
		}
		var said struct {
			Response struct {
				Allowed bool
				Patch   []byte
				Status  struct{ Message string }
			}
		}
		if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
			log.Fatal(err)
		}
		answer.Body.Close()
		fmt.Println(said.Response.Allowed, string(said.Response.Patch))
	}
	// Output:
	// true [{"op":"replace","path":"/spec/containers/0/image","value":"registry.example/team/app@sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"}]
	// false
}

// Files that came some other way are verified in memory.
func ExampleTrustedSet() {
	client, trustDir, stop := signed()
	defer stop()
	// Here from the cache of a client, where a verification put them.
	if _, err := client.Verify(context.Background(), "registry.example/team/app:1.2"); err != nil {
		log.Fatal(err)
	}
	fetch := func(role string) []byte {
		file, err := os.ReadFile(filepath.Join(trustDir, "tuf/registry.example/team/app/metadata", role+".json"))
		if err != nil {
			log.Fatal(err)
		}
		return file
	}

	set, err := tagtrust.NewTrustedSet("registry.example/team/app", fetch("root"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer set.Close()
	for role := set.NextRole(); role != ""; role = set.NextRole() {
		if err := set.AddRole(fetch(role)); err != nil {
			log.Fatal(err)
		}
	}
	image, err := set.Verify("1.2")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(image.Digest)
	// Output: sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865
}
