package creatify_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// The balance is read at no cost.
func ExampleWorkspaceService_RemainingCredits() {
	client, _ := exampleClient(creatifytest.Config{Credits: 42.5})
	credits, err := client.Workspace.RemainingCredits(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credits)
	// Output:
	// 42.5
}

// What a video of 45 s costs, and whether that is documented: a preview first and then its rendering, or the video at once.
func ExampleEstimateCredits() {
	const length = 45 * time.Second
	fmt.Println(creatify.EstimateCredits(creatify.OperationPreview, creatify.ModelStandard, length))
	fmt.Println(creatify.EstimateCredits(creatify.OperationRender, creatify.ModelStandard, length))
	fmt.Println(creatify.EstimateCredits(creatify.OperationVideo, creatify.ModelStandard, length))
	fmt.Println(creatify.EstimateCredits(creatify.OperationVideo, creatify.ModelAuroraV1Fast, length))
	fmt.Println(creatify.EstimateCredits(creatify.OperationRender, creatify.ModelAuroraV1Fast, length))
	// Output:
	// 2 true
	// 8 true
	// 10 true
	// 22.5 true
	// 22.5 false
}

// A client with a budget for two previews of up to 30 s makes two. The third is refused before anything is sent.
func ExampleNewBudget() {
	budget := creatify.NewBudget(2, 30*time.Second)
	client, fake := exampleClient(creatifytest.Config{}, creatify.WithBudget(budget))
	for range 3 {
		_, err := client.Jobs.CreatePreview(context.Background(), exampleParams)
		if err != nil && !errors.Is(err, creatify.ErrBudgetExceeded) {
			log.Fatal(err)
		}
		fmt.Println("refused:", err != nil, "spent:", budget.Spent(), "left:", budget.Remaining())
	}
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// refused: false spent: 1 left: 1
	// refused: false spent: 2 left: 0
	// refused: true spent: 2 left: 0
	// credits charged: 2
}
