"""Generators that Keras wrote, for gannet's reader of HDF5: random weights, pictures and gradients in z by TensorFlow.

    python keras_generators.py ../../tests/reference/keras

Needs `tensorflow tf_keras h5py safetensors`: Keras 3 is in TensorFlow, tf_keras is Keras 2, whose files are the older
ones. The architectures are those of three public examples, narrower: the DCGAN tutorial of tensorflow.org, the WGAN-GP
example of keras.io, eriklindernoren/Keras-GAN; and layers that they do not have. Written for this comparison.
"""
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import h5py
import numpy as np
import tensorflow as tf
import tf_keras
from safetensors.numpy import save_file

K3, K2 = tf.keras, tf_keras


def rng(name):
    return np.random.RandomState(np.frombuffer(name.encode(), np.uint8).astype(np.uint32).tolist() + [20240])


def tutorial(k, z=10, f=6):
    L = k.layers
    return k.Sequential([
        k.Input((z,)), L.Dense(7 * 7 * f, use_bias=False), L.BatchNormalization(), L.LeakyReLU(), L.Reshape((7, 7, f)),
        L.Conv2DTranspose(5, (5, 5), strides=(1, 1), padding="same", use_bias=False), L.BatchNormalization(),
        L.LeakyReLU(),
        L.Conv2DTranspose(4, (5, 5), strides=(2, 2), padding="same", use_bias=False), L.BatchNormalization(),
        L.LeakyReLU(),
        L.Conv2DTranspose(1, (5, 5), strides=(2, 2), padding="same", use_bias=False, activation="tanh")])


def wgan_gp(k, z=12, f=8):
    L = k.layers
    noise = k.Input((z,))
    x = L.LeakyReLU(0.2)(L.BatchNormalization()(L.Dense(4 * 4 * f, use_bias=False)(noise)))
    x = L.Reshape((4, 4, f))(x)
    for o, last in [(6, False), (5, False), (1, True)]:
        x = L.Conv2D(o, (3, 3), padding="same", use_bias=False)(L.UpSampling2D((2, 2))(x))
        x = L.BatchNormalization()(x)
        x = L.Activation("tanh")(x) if last else L.LeakyReLU(0.2)(x)
    return k.Model(noise, L.Cropping2D((2, 2))(x), name="generator")


def keras_gan(k, z=10, f=6):
    L = k.layers
    net = k.Sequential([L.Dense(f * 7 * 7, activation="relu", input_shape=(z,)), L.Reshape((7, 7, f))])
    for o in (6, 5):
        for layer in (L.UpSampling2D(), L.Conv2D(o, 3, padding="same"), L.BatchNormalization(momentum=0.8),
                      L.Activation("relu")):
            net.add(layer)
    net.add(L.Conv2D(3, 3, padding="same"))
    net.add(L.Activation("tanh"))
    noise = k.Input((z,))
    return k.Model(noise, net(noise))


def conditional(k, z=10, classes=4):
    L = k.layers
    net = k.Sequential([L.Dense(20, input_dim=z), L.LeakyReLU(0.2), L.BatchNormalization(momentum=0.8), L.Dense(24),
                        L.LeakyReLU(0.2), L.BatchNormalization(momentum=0.8), L.Dense(12 * 10 * 3, activation="tanh"),
                        L.Reshape((12, 10, 3))])
    noise, label = k.Input((z,)), k.Input((1,), dtype="int32")
    table = L.Flatten()(L.Embedding(classes, z)(label))
    return k.Model([noise, label], net(L.multiply([noise, table])))


def decoder(k, z=6):
    """A decoder of a variational autoencoder, as in the example of keras.io."""
    L = k.layers
    code = k.Input((z,))
    x = L.Reshape((4, 4, 6))(L.Dense(4 * 4 * 6, activation="relu")(code))
    x = L.Conv2DTranspose(5, 3, activation="relu", strides=2, padding="same")(x)
    x = L.Conv2DTranspose(4, 3, activation="relu", strides=2, padding="same")(x)
    return k.Model(code, L.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x), name="decoder")


def paddings(k, z=8):
    """Every way in which a border can come out: even and odd kernels, strides above the kernel, valid and same."""
    L = k.layers
    return k.Sequential([
        k.Input((1, 1, z)), L.Conv2DTranspose(6, 3), L.ReLU(), L.Conv2DTranspose(5, 4, strides=2, padding="same"),
        L.BatchNormalization(scale=False, epsilon=1e-2), L.ReLU(negative_slope=0.1),
        L.Conv2DTranspose(5, 2, strides=3, padding="same"), L.Conv2D(4, 4, padding="same", activation="relu"),
        L.Conv2D(6, 3, strides=2, padding="same"), L.BatchNormalization(center=False), L.LeakyReLU(),
        L.Conv2DTranspose(4, 2, strides=3), L.ZeroPadding2D(((0, 2), (1, 0))), L.Conv2D(4, 3), L.Dropout(0.4),
        L.Cropping2D(((3, 1), (0, 2))), L.Conv2DTranspose(3, 5, strides=2, padding="same", output_padding=0),
        L.UpSampling2D(4), L.Conv2D(2, 5, strides=3, padding="same", activation="tanh")])


def fill(name, net):
    """Random weights that keep the maps at about unit size, statistics as many codes leave them."""
    r = rng(name)
    values = []
    for v in net.weights:
        shape, word = tuple(v.shape), v.name.split("/")[-1].split(":")[0]
        x = r.standard_normal(shape)
        if word == "kernel":
            transposed = "transpose" in getattr(v, "path", v.name)
            inputs = np.prod(shape[:-2]) * (shape[-1] if transposed else shape[-2])
            values.append(x * 1.6 * inputs**-0.5)
        elif word == "moving_variance":
            values.append(0.4 + x**2)
        else:
            values.append({"gamma": 1 + 0.2 * x, "embeddings": 1 + 0.3 * x}.get(word, 0.2 * x))
    net.set_weights([v.astype(np.float32) for v in values])
    return net


def numbers(name, net, unit=False):
    """Pictures in [-1, 1], channels first, the loss of all families and its gradient in z."""
    r = rng(name + " inputs")
    z = tf.constant(r.standard_normal((2, *net.inputs[0].shape[1:])).astype(np.float32))
    out = {}
    inputs = [z]
    if len(net.inputs) > 1:
        label = r.randint(0, 4, (2, 1)).astype(np.int32)
        out["labels"] = np.eye(4, dtype=np.float32)[label[:, 0]]
        inputs.append(tf.constant(label))
    with tf.GradientTape() as tape:
        tape.watch(z)
        y = net(inputs if len(inputs) > 1 else z, training=False)
        image = tf.transpose(2 * y - 1 if unit else y, (0, 3, 1, 2))
        wave = np.sin(0.37 * np.arange(np.prod(image.shape))).astype(np.float32).reshape(image.shape)
        loss = tf.reduce_mean((image - wave) ** 2)
    grad = tape.gradient(loss, z)
    flat = lambda t: t.numpy().reshape(2, -1)
    out |= {"z": flat(z), "image": image.numpy(), "loss": loss.numpy().reshape(1), "grad.z": flat(grad)}
    _, c, h, w = image.shape
    spec = {"width": int(w), "height": int(h), "channels": int(c), "z_dim": flat(z).shape[1], "c_dim": 4 if "labels" in out else 0}
    return out, {"family": "dcgan", "spec": spec}


def write(path, out, about):
    out = {k: np.ascontiguousarray(v, np.float32) for k, v in sorted(out.items())}
    save_file(out, path, metadata={"reference": json.dumps(about, sort_keys=True)})


def legacy(net, path):
    """What `save_weights("NAME.h5")` of Keras before 3 writes, by Keras 3's own code for it."""
    from keras.src.legacy.saving import legacy_h5_format
    with h5py.File(path, "w") as f:
        legacy_h5_format.save_weights_to_hdf5_group(f, net)


def case(folder, name, net, save, unit=False):
    path = os.path.join(folder, name)
    save(net, path)
    write(path + ".ref.safetensors", *numbers(name, net, unit))
    sizes = [f"{f} {os.path.getsize(os.path.join(folder, f))}" for f in sorted(os.listdir(folder)) if f.startswith(name)]
    print(*sizes, sep="\n")


def whole(net, path):
    net.save(path + ".h5")


def weights_k2(net, path):
    net.save_weights(path + ".h5")


def with_json(net, path):
    net.save_weights(path + "_weights.h5")
    with open(path + ".json", "w") as f:
        f.write(net.to_json())


def storage(folder):
    """What HDF5 can do that Keras does not use, and what is refused."""
    def wave(shape, dtype):
        n = int(np.prod(shape))
        return ((np.arange(n) * 37 + 11) % 101 - 50).astype(dtype).reshape(shape)

    def fill_file(f):
        f["plain"] = wave((3, 5), "<f4")
        f["scalar"] = wave((), "<f4")
        f["nothing"] = wave((0, 4), "<f4")
        f["double"] = wave((7,), "<f8")
        f["half"] = wave((7,), "<f2")
        f["inner/big"] = wave((4, 3), ">f4")
        f["inner/bytes"] = (wave((6,), "i4") + 50).astype("u1")
        f["inner/long"] = wave((6,), "<i8")
        f["inner/truth"] = np.array([True, False, True])
        f["words"] = "text"
        f["soft"] = h5py.SoftLink("/plain")

    with h5py.File(os.path.join(folder, "layouts_v0.h5"), "w") as f:
        fill_file(f)
        cube = wave((7, 5, 4), "<f4")
        f.create_dataset("chunks", data=cube, chunks=(3, 2, 4))
        f.create_dataset("packed", data=cube, chunks=(4, 5, 3), compression="gzip")
        f.create_dataset("shuffled", data=cube, chunks=(7, 5, 4), compression="gzip", shuffle=True)
        f.create_dataset("checked", data=cube, chunks=(2, 2, 2), compression="gzip", shuffle=True, fletcher32=True)
    with h5py.File(os.path.join(folder, "layouts_v3.h5"), "w", libver="latest") as f:
        f.create_group("inner", track_order=True)
        fill_file(f)
    with h5py.File(os.path.join(folder, "dense_links.h5"), "w", libver="latest") as f:
        for i in range(12):
            f[f"d{i}"] = wave((2,), "<f4")
    with h5py.File(os.path.join(folder, "lzf.h5"), "w") as f:
        f.create_dataset("packed", data=wave((8, 8), "<f4"), compression="lzf")


def others(folder):
    """Models that make no pictures of a vector, and layers that are not run."""
    L = K3.layers
    picture = K3.Sequential([K3.Input((8, 8, 1)), L.Conv2D(5, 3), L.Flatten(), L.Dense(3, activation="softmax")])
    picture.save(os.path.join(folder, "classifier.h5"))
    z = K3.Input((4,))
    x = L.Reshape((2, 2, 5))(L.Dense(20)(z))
    x = L.Conv2DTranspose(5, 4, strides=2, padding="same")(x)
    y = L.add([x, L.Conv2D(5, 3, padding="same", name="inner")(x)])
    K3.Model(z, L.Conv2D(1, 3, padding="same")(y)).save(os.path.join(folder, "residual.h5"))
    x = L.GroupNormalization(5, name="grouped")(x)
    K3.Model(z, L.Conv2D(1, 3, padding="same")(x)).save(os.path.join(folder, "grouped.h5"))


def main(folder):
    os.makedirs(folder, exist_ok=True)
    case(folder, "tutorial_whole", fill("tutorial", tutorial(K3)), whole)
    case(folder, "tutorial_alone_k2", fill("tutorial", tutorial(K2)), weights_k2)
    case(folder, "tutorial_alone", fill("tutorial", tutorial(K3)), lambda n, p: n.save_weights(p + ".weights.h5"))
    case(folder, "wgan_gp_whole_k2", fill("wgan", wgan_gp(K2)), whole)
    case(folder, "wgan_gp_alone", fill("wgan", wgan_gp(K3)), lambda n, p: n.save_weights(p + ".weights.h5"))
    case(folder, "keras_gan_whole", fill("keras_gan", keras_gan(K3)), whole)
    case(folder, "keras_gan_json", fill("keras_gan", keras_gan(K2)), with_json)
    case(folder, "keras_gan_alone", fill("keras_gan", keras_gan(K3)), lambda n, p: legacy(n, p + ".h5"))
    case(folder, "conditional_k2", fill("conditional", conditional(K2)), whole)
    case(folder, "conditional", fill("conditional", conditional(K3)), lambda n, p: n.save(p + ".keras"))
    case(folder, "decoder", fill("decoder", decoder(K3)), lambda n, p: n.save(p + ".keras"), unit=True)
    case(folder, "paddings", fill("paddings", paddings(K3)), whole)
    storage(folder)
    others(folder)
    print(sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)), "bytes in all")


if __name__ == "__main__":
    main(sys.argv[1])
