"""A segmentation model of the Hugging Face hub with the classes of BDD100K; a leaf names it."""

model = dict(type="mmstreet.TransformersSegmentor", classes="bdd100k_sem19", head="new")
find_unused_parameters = True  # some networks have layers after the last that they read
