package creatify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// The video is streamed to any writer. Its host gets no key.
func ExampleJobsService_Download() {
	ctx := context.Background()
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, VideoSize: 100_000}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
	job, err := client.Jobs.CreateVideo(ctx, params)
	if err != nil {
		log.Fatal(err)
	}

	var video bytes.Buffer
	n, err := client.Jobs.Download(ctx, job.ID, &video)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n, "bytes,", video.Len(), "in the buffer")
	fmt.Println("requests with the key:", fake.LeakedCredentials(), "of", fake.Calls(creatifytest.CallVideo))
	// Output:
	// 100000 bytes, 100000 in the buffer
	// requests with the key: 0 of 1
}

// The file appears when it is whole. Nothing else is left in its folder.
func ExampleJobsService_DownloadFile() {
	ctx := context.Background()
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, VideoSize: 100_000}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
	job, err := client.Jobs.CreateVideo(ctx, params)
	if err != nil {
		log.Fatal(err)
	}

	folder, err := os.MkdirTemp("", "videos")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	n, err := client.Jobs.DownloadFile(ctx, job.ID, filepath.Join(folder, "spring.mp4"))
	files, _ := os.ReadDir(folder)
	fmt.Println(n, "bytes in", len(files), "file, error:", err)
	// Output:
	// 100000 bytes in 1 file, error: <nil>
}

// The numbers are those of a progress bar.
func ExampleWithProgress() {
	ctx := context.Background()
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, VideoSize: 100_000}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
	job, err := client.Jobs.CreateVideo(ctx, params)
	if err != nil {
		log.Fatal(err)
	}

	bar := ""
	_, err = client.Jobs.Download(ctx, job.ID, io.Discard, creatify.WithProgress(func(done, total int64) {
		bar = fmt.Sprintf("%d of %d bytes", done, total)
		if total > 0 { // -1 while unknown
			bar += fmt.Sprintf(" (%d %%)", 100*done/total)
		}
	}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(bar)
	// Output:
	// 100000 of 100000 bytes (100 %)
}

// Of a file that is too large, nothing is left.
func ExampleWithMaxSize() {
	ctx := context.Background()
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, VideoSize: 100_000}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
	job, err := client.Jobs.CreateVideo(ctx, params)
	if err != nil {
		log.Fatal(err)
	}

	path := filepath.Join(os.TempDir(), job.ID+".mp4")
	_, err = client.Jobs.DownloadFile(ctx, job.ID, path, creatify.WithMaxSize(64<<10))
	fmt.Println("too large:", errors.Is(err, creatify.ErrTooLarge))
	_, err = os.Stat(path)
	fmt.Println("no file:", errors.Is(err, fs.ErrNotExist))
	// Output:
	// too large: true
	// no file: true
}

// A silent connection is replaced, unless the context has no time for another.
func ExampleWithIdleTimeout() {
	ctx := context.Background()
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, VideoSize: 100_000}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
	job, err := client.Jobs.CreateVideo(ctx, params)
	if err != nil {
		log.Fatal(err)
	}

	fake.Inject(creatifytest.Fault{Call: creatifytest.CallVideo, Delay: time.Hour})
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	_, err = client.Jobs.Download(ctx, job.ID, io.Discard, creatify.WithIdleTimeout(10*time.Millisecond))
	if failed, ok := errors.AsType[*creatify.DownloadError](err); ok {
		fmt.Println(failed.Err)
	}
	// Output:
	// no byte came for 10ms
}

// By default, no URL in a response leads into your own network.
func ExampleWithPrivateAddresses() {
	ctx := context.Background()
	fake := creatifytest.New(creatifytest.Config{BaseURL: "http://127.0.0.1:8080", Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
	job, err := client.Jobs.CreateVideo(ctx, params)
	if err != nil {
		log.Fatal(err)
	}

	_, err = client.Jobs.Download(ctx, job.ID, io.Discard)
	fmt.Println("refused:", errors.Is(err, creatify.ErrRefusedURL), "after", fake.Calls(creatifytest.CallVideo), "requests")

	_, err = client.Jobs.Download(ctx, job.ID, io.Discard, creatify.WithPrivateAddresses())
	fmt.Println("refused:", err != nil, "after", fake.Calls(creatifytest.CallVideo), "request")
	// Output:
	// refused: true after 0 requests
	// refused: false after 1 request
}

// A job without a video differs from a host that refuses it. Either way, nothing was charged.
func ExampleDownloadError() {
	ctx := context.Background()
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, VideoSize: 100_000}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
	job, err := client.Jobs.CreateVideo(ctx, params)
	if err != nil {
		log.Fatal(err)
	}

	fake.Inject(creatifytest.Fault{Call: creatifytest.CallVideo, Status: http.StatusNotImplemented, Times: -1})
	_, err = client.Jobs.Download(ctx, job.ID, io.Discard)
	if errors.Is(err, creatify.ErrNoOutput) {
		fmt.Println("there is no video yet: wait for it")
	} else if failed, ok := errors.AsType[*creatify.DownloadError](err); ok {
		fmt.Println(failed.Host, "answered", failed.StatusCode, "after", failed.Written, "bytes")
	}
	// Output:
	// video.creatify.test answered 501 after 0 bytes
}
