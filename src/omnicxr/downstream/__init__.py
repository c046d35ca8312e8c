"""What synthetic studies are worth: classifiers trained on real, synthetic or both, tested on real studies."""
