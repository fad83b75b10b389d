package durable_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	creatify "github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/durable"
)

func ExampleOpenFile() {
	fake := httptest.NewServer(creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: time.Second}}))
	defer fake.Close()
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithBaseURL(fake.URL))
	if err != nil {
		log.Fatal(err)
	}
	folder, _ := os.MkdirTemp("", "orders")
	defer os.RemoveAll(folder)
	ctx, cancel := context.WithCancel(context.Background())
	queue, err := durable.OpenFile(ctx, filepath.Join(folder, "orders.db"), durable.Options{Client: client})
	if err != nil {
		log.Fatal(err)
	}
	defer queue.Close()
	stopped := make(chan error)
	go func() { stopped <- queue.Run(ctx) }()

	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{"headline": creatify.Text("Spring sale")}}
	if _, err := queue.Submit(ctx, durable.Order{ID: "order-17", Kind: durable.Preview, Params: params}); err != nil {
		log.Fatal(err)
	}
	order, err := queue.Wait(ctx, "order-17")
	fmt.Println(order.State, order.Job.Preview != "", err)
	cancel()
	fmt.Println(<-stopped)
	// Output:
	// done true <nil>
	// <nil>
}

// A service writes an order with its own rows, and its result with the order's end.
func ExampleQueue_SubmitTx() {
	ctx := context.Background()
	client, _ := creatify.New(creatifytest.APIID, creatifytest.APIKey)
	folder, _ := os.MkdirTemp("", "orders")
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "orders.db")
	db, _ := sql.Open("sqlite3", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_txlock=immediate")
	defer db.Close()
	db.SetMaxOpenConns(1)
	queue, err := durable.Open(ctx, db, durable.Options{Client: client, Dialect: durable.SQLite,
		OnEnd: func(ctx context.Context, tx *sql.Tx, order *durable.Order) error {
			_, err := tx.ExecContext(ctx, "UPDATE campaigns SET state = ? WHERE id = ?", order.State, order.ID)
			return err
		}})
	if err != nil {
		log.Fatal(err)
	}
	defer queue.Close()
	if err := queue.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	_, _ = db.Exec("CREATE TABLE campaigns (id text PRIMARY KEY, state text)")

	tx, _ := db.BeginTx(ctx, nil)
	defer tx.Rollback()
	_, _ = tx.Exec("INSERT INTO campaigns VALUES ('spring', 'ordered')")
	_, err = queue.SubmitTx(ctx, tx, durable.Order{ID: "spring", Kind: durable.Preview,
		Params: creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}})
	fmt.Println(err, tx.Commit()) // both rows, or none
	// Output: <nil> <nil>
}
